// The service's API, as a signed-in browser uses it. The session is a cookie that no script
// can read; the header tells the service that a page of its own is asking.

/** An answer that says no. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let onSignedOut = () => {};

/** Calls back when the session has ended. */
export function whenSignedOut(callback) {
  onSignedOut = callback;
}

const HEADERS = { "x-offkey-console": "1" };

async function ask(method, path, body, signal) {
  const headers = body === undefined ? HEADERS : { ...HEADERS, "content-type": "application/json" };
  const init = { method, headers, signal, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) init.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "", "");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const refusal = new Refusal(response.status, told.error_code ?? "", told.error_msg ?? "");
  // A foreign project is 401 too, and no reason to sign in again.
  if (response.status === 401 && refusal.code !== "DCS.1004" && path !== "/console/session") onSignedOut();
  throw refusal;
}

/** Asks for a JSON answer. */
export async function call(method, path, body, signal) {
  const response = await ask(method, path, body, signal);
  return response.status === 204 ? null : response.json();
}

/** Asks for an answer as a file. */
export async function file(path) {
  return (await ask("GET", path)).blob();
}

/** Path of an instance, or of one of its analyses. */
export function instancePath(project, instance, rest = "") {
  return `/v2/${encodeURIComponent(project)}/instances/${encodeURIComponent(instance)}${rest}`;
}

/** Path of the analyses of an instance, or of one of them. */
export function analysisPath(project, instance, task = "", rest = "") {
  const one = task ? `/${encodeURIComponent(task)}${rest}` : "";
  return instancePath(project, instance, `/offline/key-analysis${one}`);
}

/** Calls `each` with every event of a task until the task has ended or `signal` says stop. */
export async function follow(path, each, signal) {
  for (let waits = 500; !signal.aborted; waits = Math.min(2 * waits, 8000)) {
    try {
      const response = await ask("GET", path, undefined, signal);
      if (await eventsOf(response, each)) return;
    } catch (error) {
      if (error.name === "AbortError" || error.status >= 400) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, waits));
  }
}

/** Reads events; answers whether the last one ended the task. */
async function eventsOf(response, each) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let ended = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return ended;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
      const kind = field("event");
      if (!kind) continue;
      const data = JSON.parse(field("data") ?? "{}");
      ended = kind === "deleted" || data.status === "success" || data.status === "failed";
      each(kind, data);
    }
  }
}

//! Object stores under the names that they have in the world: the bucket in the host name, and
//! endpoints of Huawei Cloud and AWS with certificates. An S3 server (moto) stands behind a proxy
//! that leads every name to it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

mod stand_in;

use std::process::{Command, Output};

use offkey_testkit::{RdbFile, value};
use serde_json::Value as Json;

use stand_in::{Served, StandIn, python};

const SECRET: &str = "canary-of-the-secret-key";
const TOKEN: &str = "canary-of-the-token";

fn file(keys: u32) -> Vec<u8> {
    let mut file = RdbFile::redis(11);
    file.select_db(0);
    for n in 0..keys {
        file.key(format!("user:{n}"), &value::string(vec![b'x'; 500]));
    }
    file.finish()
}

/// Runs offkey with keys for `scheme`, by the proxy of the stand-in.
fn offkey(stand_in: &StandIn, scheme: &str, arguments: &[&str], trusts: bool) -> Output {
    let names = match scheme {
        "obs" => ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"],
        _ => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_offkey"));
    command.args(arguments).envs(names.into_iter().zip(["ACCESSKEY", SECRET, TOKEN]));
    command.env("ALL_PROXY", stand_in.proxy()).env_remove("NO_PROXY").env_remove("no_proxy");
    if trusts {
        command.env("SSL_CERT_FILE", stand_in.authority());
    }
    let output = command.output().unwrap();
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("canary") && !text.contains("X-Amz"), "{text}");
    }
    output
}

fn report(output: &Output) -> Json {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of the inputs, and keys in all.
fn read(output: &Output) -> (Vec<String>, u64) {
    let report = report(output);
    assert_eq!(report["complete"], true, "{report}");
    let inputs = report["inputs"].as_array().unwrap();
    let names = inputs.iter().map(|input| input["file"].as_str().unwrap().to_owned());
    (names.collect(), report["total_num"].as_u64().unwrap())
}

#[test]
fn bucket_stands_in_the_host_name_and_requests_are_signed_for_it() {
    let Some(stand_in) = StandIn::start(Served::Plainly) else { return };
    stand_in.put("backups", "redis/a b.rdb", &file(300));
    stand_in.put("backups", "redis/c.rdb", &file(20));
    let endpoint = ["--endpoint", "http://store.example:9000", "--format", "json"];
    let output = offkey(
        &stand_in,
        "s3",
        &[&["analyze", "s3://backups/redis/"], &endpoint[..]].concat(),
        false,
    );
    let names = ["s3://backups/redis/a b.rdb", "s3://backups/redis/c.rdb"].map(str::to_owned);
    assert_eq!(read(&output), (names.to_vec(), 320));
    let requests = stand_in.requests();
    assert!(requests.len() >= 3, "{requests:?}");
    for request in &requests {
        assert!(request.contains("\r\nhost: backups.store.example:9000\r\n"), "{request}");
        assert!(!request.contains("/backups"), "{request}");
        assert!(request.contains("X-Amz-Security-Token="), "{request}");
    }
    for path in ["GET /?", "GET /redis/a%20b.rdb?", "GET /redis/c.rdb?"] {
        assert!(requests.iter().any(|request| request.starts_with(path)), "{requests:?}");
    }
    assert_signed(&requests);

    // And for the path, where it stands there. The server knows it by the address.
    let endpoint = stand_in.endpoint();
    let arguments = [
        "analyze",
        "obs://backups/redis/c.rdb",
        "--endpoint",
        &endpoint,
        "--path-style",
        "--format",
        "json",
    ];
    let output = offkey(&stand_in, "obs", &arguments, false);
    assert_eq!(read(&output), (vec!["obs://backups/redis/c.rdb".to_owned()], 20));
    let requests = stand_in.requests().split_off(requests.len());
    assert!(requests[0].starts_with("GET /backups/redis/c.rdb?"), "{requests:?}");
    assert_signed(&requests);
}

/// Has botocore, which AWS makes, sign the same requests.
fn assert_signed(requests: &[String]) {
    let script = r#"
import datetime, sys, urllib.parse as u
import botocore.auth as auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for line in sys.stdin:
    host, target = line.rstrip("\n").split(" ", 1)
    parts = u.urlsplit("http://" + host + target)
    query = dict(u.parse_qsl(parts.query, keep_blank_values=True))
    region = query["X-Amz-Credential"].split("/")[2]
    when = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    auth.get_current_datetime = lambda *_, **__: when
    plain = {name: text for name, text in query.items() if not name.startswith("X-Amz-")}
    url = parts._replace(query=u.urlencode(plain, quote_via=u.quote)).geturl()
    request = AWSRequest(method="GET", url=url)
    keys = Credentials("ACCESSKEY", sys.argv[1], sys.argv[2])
    auth.S3SigV4QueryAuth(keys, "s3", region, int(query["X-Amz-Expires"])).add_auth(request)
    signed = dict(u.parse_qsl(u.urlsplit(request.url).query, keep_blank_values=True))
    assert signed == query, (signed, query)
    print("same")
"#;
    let line = |request: &String| {
        let target = request.split(' ').nth(1).unwrap();
        let host = request.split("\r\nhost: ").nth(1).unwrap().split("\r\n").next().unwrap();
        format!("{host} {target}\n")
    };
    let said = python(script, &[SECRET, TOKEN], &requests.iter().map(line).collect::<String>());
    assert_eq!(said.lines().count(), requests.len(), "{said}");
}

#[test]
fn endpoints_of_huawei_cloud_and_aws_are_those_of_the_region() {
    let hosts = ["backups.obs.cn-north-4.myhuaweicloud.com", "backups.s3.eu-west-3.amazonaws.com"];
    let Some(stand_in) = StandIn::start(Served::WithTls(&hosts)) else { return };
    stand_in.put("backups", "redis/a.rdb", &file(50));
    for (scheme, region, host) in [("obs", "cn-north-4", hosts[0]), ("s3", "eu-west-3", hosts[1])] {
        let url = format!("{scheme}://backups/redis/");
        let arguments = ["analyze", &url, "--region", region, "--format", "json"];
        let output = offkey(&stand_in, scheme, &arguments, true);
        assert_eq!(read(&output), (vec![format!("{url}a.rdb")], 50));
        let asked = stand_in.asked();
        assert!(!asked.is_empty() && asked.iter().all(|name| *name == format!("{host}:443")));

        // Nothing is asked of who has no certificate for the name.
        let output = offkey(&stand_in, scheme, &arguments, false);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("certificate"), "{told}");
        stand_in.asked();
    }
}

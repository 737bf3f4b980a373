// Rectangles whose areas are figures, as square as they can be.

/**
 * Lays `weights`, largest first, into a rectangle; answers a rectangle for each.
 *
 * Rows are filled along the shorter side as long as that makes their rectangles squarer.
 */
export function squarify(weights, { x, y, width, height }) {
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const placed = [];
  if (whole <= 0 || width <= 0 || height <= 0) return placed;
  const scale = (width * height) / whole;
  const areas = weights.map((weight) => weight * scale);
  let room = { x, y, width, height };
  for (let start = 0; start < areas.length; ) {
    const side = Math.min(room.width, room.height);
    let end = start + 1;
    let sum = areas[start];
    while (end < areas.length) {
      const grown = sum + areas[end];
      if (worst(areas[start], areas[end], grown, side) > worst(areas[start], areas[end - 1], sum, side)) break;
      sum = grown;
      end += 1;
    }
    room = placeRow(areas.slice(start, end), sum, room, placed);
    start = end;
  }
  return placed;
}

/** The worst ratio of sides in a row of areas from `least` to `most`. */
function worst(most, least, sum, side) {
  const square = side * side;
  return Math.max((square * most) / (sum * sum), (sum * sum) / (square * least));
}

/** Places a row along the shorter side; answers the room that is left. */
function placeRow(row, sum, room, placed) {
  const isTall = room.height >= room.width;
  const side = isTall ? room.width : room.height;
  const depth = side > 0 ? sum / side : 0;
  let at = isTall ? room.x : room.y;
  for (const area of row) {
    const length = depth > 0 ? area / depth : 0;
    placed.push(isTall
      ? { x: at, y: room.y, width: length, height: depth }
      : { x: room.x, y: at, width: depth, height: length });
    at += length;
  }
  return isTall
    ? { x: room.x, y: room.y + depth, width: room.width, height: Math.max(0, room.height - depth) }
    : { x: room.x + depth, y: room.y, width: Math.max(0, room.width - depth), height: room.height };
}

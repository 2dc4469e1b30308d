/** Which bytes are a picture that a browser may show: judged by how they begin, never by what their sender calls them. */

const BEGINNINGS = /** @type {[string, (number|null)[]][]} */ ([
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46, null, null, null, null, 0x57, 0x45, 0x42, 0x50]],
]);

/**
 * The picture as a blob of its own type; null for anything else.
 * @param {ArrayBuffer} bytes
 * @returns {Blob|null}
 */
export function pictureOf(bytes) {
  const start = new Uint8Array(bytes, 0, Math.min(16, bytes.byteLength));
  const found = BEGINNINGS.find(([, wanted]) => wanted.every((byte, at) => at < start.length && (byte === null || byte === start[at])));
  return found ? new Blob([bytes], { type: found[0] }) : null;
}

/** The slots of a cluster. Every key belongs to one. */
export const slotCount = 16_384;

const utf8 = new TextEncoder();

/** The slot of a key: CRC16 of the key, or of the part between its first braces, if that is not empty. */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  return crc16(utf8.encode(close > open + 1 ? key.slice(open + 1, close) : key)) % slotCount;
}

/** CRC16-CCITT (XMODEM): polynomial 0x1021, begins with 0. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (table[(crc >> 8) ^ byte] as number);
  return crc;
}

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

/** Frame types (RFC 9113 section 6, RFC 9218 section 7.1). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
  PRIORITY_UPDATE: 16,
} as const;

/** Flags of frames. Some types share a bit. */
export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

/** Settings (RFC 9113 section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1). */
export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
  NO_RFC7540_PRIORITIES: 9,
} as const;

/** Error codes (RFC 9113 section 7). */
export const Http2Error = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;
export type Http2Error = (typeof Http2Error)[keyof typeof Http2Error];

const errorNames = new Map<number, string>(Object.entries(Http2Error).map(([name, code]) => [code, name]));

/** For logs. An unknown code counts as INTERNAL_ERROR (RFC 9113 section 7), and is shown as it came. */
export function errorName(code: number): string {
  return errorNames.get(code) ?? `error 0x${code.toString(16)}`;
}

/** The first bytes of a client (RFC 9113 section 3.4). */
export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export const frameHeadBytes = 9;
/** The default and lowest limit of a payload, in bytes. Hipache announces no other. */
export const frameBytesDefault = 16_384;
/** The largest flow-control window, in bytes. */
export const windowBytesMax = 0x7fff_ffff;
/** The default of SETTINGS_INITIAL_WINDOW_SIZE and the window of a new connection, in bytes. */
export const windowBytesDefault = 65_535;

/* Frames are latin1 text, one character a byte: what they join with is queued as text as well. */

/** The head of a frame (RFC 9113 section 4.1). */
export function frameHead(length: number, type: number, flags: number, stream: number): string {
  return String.fromCharCode(
    length >>> 16,
    (length >>> 8) & 0xff,
    length & 0xff,
    type,
    flags,
    stream >>> 24,
    (stream >>> 16) & 0xff,
    (stream >>> 8) & 0xff,
    stream & 0xff,
  );
}

/** The frames of a header block, of which each has at most `bytesMax` of payload. */
export function headersFrames(block: string, flags: number, stream: number, bytesMax: number): string {
  if (block.length <= bytesMax) {
    return frameHead(block.length, FrameType.HEADERS, flags | Flag.END_HEADERS, stream) + block;
  }
  let out = frameHead(bytesMax, FrameType.HEADERS, flags, stream) + block.slice(0, bytesMax);
  for (let at = bytesMax; at < block.length; at += bytesMax) {
    const part = block.slice(at, at + bytesMax);
    const isLast = at + bytesMax >= block.length;
    out += frameHead(part.length, FrameType.CONTINUATION, isLast ? Flag.END_HEADERS : 0, stream) + part;
  }
  return out;
}

export function resetFrame(stream: number, code: number): string {
  return frameHead(4, FrameType.RST_STREAM, 0, stream) + uint32(code);
}

export function settingsFrame(settings: readonly (readonly [setting: number, value: number])[]): string {
  const body = settings.map(([setting, value]) => String.fromCharCode(setting >>> 8, setting & 0xff) + uint32(value));
  return frameHead(settings.length * 6, FrameType.SETTINGS, 0, 0) + body.join('');
}

export const settingsAckFrame = frameHead(0, FrameType.SETTINGS, Flag.ACK, 0);

/** @param payload 8 bytes. */
export function pingFrame(isAck: boolean, payload: string): string {
  return frameHead(8, FrameType.PING, isAck ? Flag.ACK : 0, 0) + payload;
}

/** @param lastStream the last one of the peer that is, or may have been, processed. */
export function goAwayFrame(lastStream: number, code: number): string {
  return frameHead(8, FrameType.GOAWAY, 0, 0) + uint32(lastStream) + uint32(code);
}

/** @param stream 0 for the connection. @param increment 1 to `windowBytesMax`. */
export function windowUpdateFrame(stream: number, increment: number): string {
  return frameHead(4, FrameType.WINDOW_UPDATE, 0, stream) + uint32(increment);
}

function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

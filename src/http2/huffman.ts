/*
 * The Huffman code of HPACK (RFC 7541 appendix B). It is canonical: the lengths of the codes determine them, shorter ones
 * first, and by symbol among those of one length.
 */

const EOS = 256;

/** The symbols by the length of their codes in bits. */
const symbolsByLength: readonly (readonly [bits: number, symbols: readonly number[]])[] = [
  [5, symbolsOf('012aceiost')],
  [6, symbolsOf(' %-./3456789=A_bdfghlmnpru')],
  [7, symbolsOf(':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz')],
  [8, symbolsOf('&*,;XZ')],
  [10, symbolsOf('!"()?')],
  [11, symbolsOf("'+|")],
  [12, symbolsOf('#>')],
  [13, symbolsOf('\0$@[]~')],
  [14, symbolsOf('^}')],
  [15, symbolsOf('<`{')],
  [19, [92, 195, 208]],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [
    22,
    [
      ...[129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196],
      ...[198, 228, 232, 233],
    ],
  ],
  [
    23,
    [
      ...[1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180],
      ...[182, 183, 188, 191, 197, 231, 239],
    ],
  ],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [27, [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]],
  [
    28,
    [
      ...[2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220],
      249,
    ],
  ],
  [30, [10, 13, 22, EOS]],
];

const codes = new Uint32Array(EOS + 1);
const lengths = new Uint8Array(EOS + 1);

/**
 * The decoder reads four bits at a time, in which at most one symbol ends, since no code is shorter than five. By state (a
 * node of the tree of codes) and four bits: the next state, flags, and the symbol that ends.
 */
const transitions = new Uint32Array(256 << 4);
const EMITS = 0x100;
const INVALID = 0x200;
const symbolShift = 16;
/** States in which a text may end: what is left is padding, less than a byte of ones. */
const isEnd = new Uint8Array(256);

/** Marks a child in the tree that is a symbol. */
const LEAF = 0x1000;

buildCodes();
buildTransitions();

/**
 * Decodes `bytes[start, end)` to `out`, from `at` on.
 * @returns the end of what was written; -1 if the text is invalid, or too long for `out`.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  // Two symbols may end in a byte.
  const last = out.length - 2;
  let state = 0;
  let to = at;
  for (let from = start; from < end; from++) {
    const byte = bytes[from] as number;
    const first = transitions[(state << 4) | (byte >> 4)] as number;
    const second = transitions[((first & 0xff) << 4) | (byte & 15)] as number;
    if (((first | second) & (EMITS | INVALID)) !== 0) {
      if (((first | second) & INVALID) !== 0 || to > last) return -1;
      if ((first & EMITS) !== 0) out[to++] = first >>> symbolShift;
      if ((second & EMITS) !== 0) out[to++] = second >>> symbolShift;
    }
    state = second & 0xff;
  }
  return isEnd[state] === 1 ? to : -1;
}

/** The length of a latin1 text in this code, in bytes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += lengths[text.charCodeAt(at) & 0xff] as number;
  return (bits + 7) >> 3;
}

/** Encodes a latin1 text to `out`, from `start` on. @returns the end of what was written. */
export function encodeHuffman(text: string, out: Uint8Array, start: number): number {
  let to = start;
  // Bits that wait for a whole byte, fewer than 8 of them. A code of up to 30 more would not fit into 32.
  let pending = 0;
  let bits = 0;
  for (let at = 0; at < text.length; at++) {
    const symbol = text.charCodeAt(at) & 0xff;
    const code = codes[symbol] as number;
    let left = lengths[symbol] as number;
    if (left > 16) {
      left -= 16;
      pending = (pending << 16) | (code >>> left);
      out[to++] = pending >>> (bits + 8);
      out[to++] = pending >>> bits;
      pending &= (1 << bits) - 1;
    }
    pending = (pending << left) | (code & ((1 << left) - 1));
    bits += left;
    while (bits >= 8) {
      bits -= 8;
      out[to++] = pending >>> bits;
    }
    pending &= (1 << bits) - 1;
  }
  // The begin of the code of EOS, which is all ones (RFC 7541 section 5.2).
  if (bits > 0) out[to++] = (pending << (8 - bits)) | (0xff >> bits);
  return to;
}

function symbolsOf(characters: string): number[] {
  return [...characters].map((character) => character.charCodeAt(0));
}

function buildCodes(): void {
  let code = 0;
  let length = 0;
  for (const [bits, symbols] of symbolsByLength) {
    code <<= bits - length;
    length = bits;
    for (const symbol of symbols) {
      codes[symbol] = code++;
      lengths[symbol] = bits;
    }
  }
}

function buildTransitions(): void {
  const tree: [number, number][] = [[0, 0]];
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = (lengths[symbol] as number) - 1; bit >= 0; bit--) {
      const branch = (((codes[symbol] as number) >>> bit) & 1) as 0 | 1;
      const children = tree[node] as [number, number];
      if (bit === 0) children[branch] = LEAF | symbol;
      else if (children[branch] === 0) children[branch] = tree.push([0, 0]) - 1;
      node = children[branch];
    }
  }
  for (let node = 0; node < tree.length; node++) {
    for (let four = 0; four < 16; four++) transitions[(node << 4) | four] = transition(tree, node, four);
  }
  for (let node = 0, depth = 0; depth < 8; depth++) {
    isEnd[node] = 1;
    node = (tree[node] as [number, number])[1];
  }
}

function transition(tree: readonly [number, number][], from: number, four: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = (tree[node] as [number, number])[((four >> bit) & 1) as 0 | 1];
    if (child < LEAF) {
      node = child;
      continue;
    }
    // RFC 7541 section 5.2: EOS in a text is an error.
    if (child === (LEAF | EOS)) return INVALID;
    emitted = EMITS | ((child & 0xff) << symbolShift);
    node = 0;
  }
  return emitted | node;
}

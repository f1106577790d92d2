import { Setting, windowBytesDefault } from './frame.ts';
import type { HpackEncoder } from './hpack-encoder.ts';

/** The settings of the peer (RFC 9113 section 6.5.2), as far as they are used. */
export class PeerSettings {
  /** Whether they have come; until then, the defaults hold. */
  haveCome = false;
  /** Streams that it accepts at a time. */
  streamsMax = Number.POSITIVE_INFINITY;
  takesProtocols = false;
  /** The window of its streams at their begin, in bytes. */
  windowBytes = windowBytesDefault;

  /** @param encoder follows the size of the peer's table. */
  apply(settings: readonly (readonly [setting: number, value: number])[], encoder: HpackEncoder): void {
    this.haveCome = true;
    for (const [setting, value] of settings) {
      switch (setting) {
        case Setting.HEADER_TABLE_SIZE:
          encoder.setTableBytesMax(value);
          break;
        case Setting.MAX_CONCURRENT_STREAMS:
          this.streamsMax = value;
          break;
        case Setting.INITIAL_WINDOW_SIZE:
          this.windowBytes = value;
          break;
        case Setting.ENABLE_CONNECT_PROTOCOL:
          this.takesProtocols = value === 1;
          break;
      }
    }
  }
}

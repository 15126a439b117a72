// SPDX-License-Identifier: Apache-2.0
import { MIB } from '@secondsite/units';
import type { ChangeSetShipper } from './change-set-shipper';
import { type ChangeStream, MARKER_ROOM_BYTES, type StreamClock } from './change-stream';
import type { TapWatch } from './tap-watch';

export interface SetSealerOptions {
  readonly stream: ChangeStream;
  readonly shipper: ChangeSetShipper;
  readonly clock: StreamClock;
  /** Monotonic. */
  readonly millis: () => number;
  readonly tap?: TapWatch;
  /** How long a set waits for more writes before it is sealed; default 200 ms. */
  readonly lingerMillis?: number;
}

const HEARTBEAT_MILLIS = 1000;
const READ_BYTES_MIN = 3 * MIB;

/** Seals change sets by time, and sends a heartbeat when nobody writes. */
export class SetSealer {
  readonly #options: SetSealerOptions;
  #sealedMillis = 0;

  constructor(options: SetSealerOptions) {
    this.#options = options;
  }

  /** A set was sealed, by whomever. */
  sealed(): void {
    this.#sealedMillis = this.#options.millis();
  }

  /** Called often in a resynchronisation: a way on which nothing is gets what was read, although the set has room for more. */
  read(): void {
    const { stream, shipper } = this.#options;
    if (shipper.pendingSets === 0 && stream.openBytes >= READ_BYTES_MIN) stream.seal();
  }

  /** Called often while the pair captures. A set waits for more writes as long as the process server has others to take first. */
  tick(): void {
    const { stream, shipper, millis, lingerMillis = 200 } = this.#options;
    if (shipper.waitingSets > 0) return;
    if (!stream.isEmpty) {
      if (stream.openMillis >= lingerMillis) stream.seal();
    } else if (shipper.pendingSets === 0 && millis() - this.#sealedMillis >= HEARTBEAT_MILLIS && stream.makeRoom(MARKER_ROOM_BYTES)) this.#heartbeat();
  }

  /** Says that nothing else was written until then, so its time is one for which the tap is known to have seen everything. */
  #heartbeat(): void {
    const { stream, clock, tap } = this.#options;
    if (tap && tap.provenUntil <= clock.last) return;
    stream.appendMarker({ kind: 'heartbeat' }, tap?.provenUntil);
    stream.seal();
  }
}

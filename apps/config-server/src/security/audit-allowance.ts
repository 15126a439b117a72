// SPDX-License-Identifier: Apache-2.0
/** How many refusals may become events: 60 a minute, so that nobody fills the event store by knocking. The rest is only logged. */
export class AuditAllowance {
  #minute = 0;
  #taken = 0;

  constructor(private readonly nowMillis: () => number, private readonly perMinuteMax = 60) {}

  /** Takes one; false when this minute's are used up. */
  take(): boolean {
    const minute = Math.floor(this.nowMillis() / 60_000);
    if (minute !== this.#minute) [this.#minute, this.#taken] = [minute, 0];
    this.#taken += 1;
    return this.#taken <= this.perMinuteMax;
  }
}

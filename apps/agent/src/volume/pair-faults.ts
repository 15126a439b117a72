// SPDX-License-Identifier: Apache-2.0
import { type Fault, faultOf } from './replication-status';

/** What the pair tries again by itself when it fails. */
export type Trial = 'bitmap/not-durable' | 'checksums/not-durable' | 'pair-state/not-durable' | 'source/read-failed';

/** How a try ended. */
export interface Outcome {
  readonly failed: (error: unknown) => void;
  readonly worked: () => void;
}

/** What is wrong at a pair now: whatever failed, and did not work since. A new epoch tries everything again. */
export class PairFaults {
  readonly #faults = new Map<Trial, Fault>();

  /** The one that began first. */
  get first(): Fault | undefined {
    return this.#faults.values().next().value;
  }

  forgetAll(): void {
    this.#faults.clear();
  }

  /** `trial` is also the code of what is no OperationError. */
  of(trial: Trial): Outcome {
    return { failed: (error) => void this.#faults.set(trial, faultOf(error, trial)), worked: () => void this.#faults.delete(trial) };
  }
}

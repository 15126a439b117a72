// SPDX-License-Identifier: Apache-2.0
/** Wakes one loop. A signal raised while nobody waits is kept, so that no wake-up is lost. */
export class Signal {
  #raised = false;
  #wake: (() => void) | undefined;

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Resolves at the next signal, or after the time limit. */
  async wait(millisMax?: number): Promise<void> {
    if (!this.#raised) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (millisMax !== undefined) timer = setTimeout(resolve, millisMax);
      });
      clearTimeout(timer);
    }
    this.#wake = undefined;
    this.#raised = false;
  }
}

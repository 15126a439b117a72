// SPDX-License-Identifier: Apache-2.0
/** Wakes one loop. A signal raised while nobody waits is kept, so that no wake-up is lost. */
export class Signal {
  #raised = false;
  #wake: (() => void) | undefined;

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Resolves at the next signal with true, or after the time limit with false. */
  async wait(millisMax?: number): Promise<boolean> {
    if (!this.#raised) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (millisMax !== undefined) timer = setTimeout(resolve, millisMax);
      });
      clearTimeout(timer);
    }
    const raised = this.#raised;
    this.#wake = undefined;
    this.#raised = false;
    return raised;
  }
}

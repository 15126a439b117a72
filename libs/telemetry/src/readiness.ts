// SPDX-License-Identifier: Apache-2.0

/** One reason why a process may not be ready: `undefined` when this check passes, else a sentence for the operator. */
export type ReadinessCheck = () => string | undefined | Promise<string | undefined>;

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: readonly { readonly name: string; readonly ready: boolean; readonly reason?: string }[];
}

/** The named checks of a process. A check that throws or takes too long counts as not ready, with that as its reason. */
export class Readiness {
  private readonly checks = new Map<string, ReadinessCheck>();

  constructor(private readonly checkMillisMax = 2000) {}

  /** Adds or replaces a check; the returned function removes it. */
  add(name: string, check: ReadinessCheck): () => void {
    this.checks.set(name, check);
    return () => void this.checks.delete(name);
  }

  async report(): Promise<ReadinessReport> {
    const checks = await Promise.all([...this.checks].map(([name, check]) => this.run(name, check)));
    return { ready: checks.every(({ ready }) => ready), checks };
  }

  private async run(name: string, check: ReadinessCheck): Promise<ReadinessReport['checks'][number]> {
    const reason = await this.reasonOf(check);
    return reason === undefined ? { name, ready: true } : { name, ready: false, reason };
  }

  private async reasonOf(check: ReadinessCheck): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`no answer within ${this.checkMillisMax} ms`), this.checkMillisMax);
    });
    try {
      return await Promise.race([Promise.resolve().then(check), late]);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

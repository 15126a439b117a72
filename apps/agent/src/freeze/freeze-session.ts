// SPDX-License-Identifier: Apache-2.0
// One freeze, as the agent sees it. The keeper is started before anything is frozen; should it die first, the agent thaws by itself, so that only
// the end of both at one instant leaves something frozen, and that is thawed at the agent's next start.
import type { HookResult } from '@secondsite/contracts';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { freezerOf } from './freezer-of';
import type { FreezeOrder, KeeperReport } from './keep-frozen';

export interface FreezeSessionOptions {
  readonly order: FreezeOrder;
  /** The compiled freeze-keeper-main. */
  readonly keeperFile: string;
  readonly millis: () => number;
}

export class FreezeSession {
  readonly results: HookResult[] = [];
  readonly #options: FreezeSessionOptions;
  readonly #startedMillis: number;
  readonly #keeper: ChildProcessByStdio<Writable, Readable, null>;
  readonly #frozen = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  #isFrozen = false;
  #isOver = false;

  /** Begins to freeze. */
  constructor(options: FreezeSessionOptions) {
    this.#options = options;
    this.#startedMillis = options.millis();
    const { keeperFile, order } = options;
    this.#keeper = spawn(process.execPath, [keeperFile], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#keeper.stdin.on('error', () => undefined); // It is gone; that is told by its exit.
    this.#keeper.on('error', () => this.#end());
    this.#keeper.on('close', () => void this.#thawOrphans());
    createInterface({ input: this.#keeper.stdout }).on('line', (line) => this.#hear(JSON.parse(line) as KeeperReport));
    this.#keeper.stdin.write(`${JSON.stringify(order)}\n`);
  }

  /** Resolves when everything goes on again. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Of the keeper. */
  get pid(): number | undefined {
    return this.#keeper.pid;
  }

  /** Resolves when every hook was tried, or everything is thawed already. */
  async settled(): Promise<void> {
    await Promise.race([this.#frozen.promise, this.#over.promise]);
  }

  /** Whether nothing was thawed until now. The keeper's time limit began later than the one that is measured here. */
  get isFrozen(): boolean {
    return this.#isFrozen && !this.#isOver && this.#options.millis() - this.#startedMillis < this.#options.order.limitMillis;
  }

  /** Resolves when everything goes on again, and the results are complete. Idempotent. */
  async thaw(): Promise<readonly HookResult[]> {
    if (!this.#isOver) this.#keeper.stdin.write('thaw\n');
    await this.#over.promise;
    return this.results;
  }

  #hear(report: KeeperReport): void {
    if (report.kind === 'step') this.results.push(report.result);
    else if (report.kind === 'frozen') {
      this.#isFrozen = true;
      this.#frozen.resolve();
    } else if (report.kind === 'thawing') this.#isFrozen = false;
    else this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#over.resolve();
  }

  /** The keeper ended without having thawed. */
  async #thawOrphans(): Promise<void> {
    if (this.#isOver) return;
    this.#isFrozen = false;
    await thawAll(this.#options.order);
    this.#end();
  }
}

/** Thaws what may be frozen, whoever froze it. What cannot be thawed was not frozen, or there is nobody left to ask. */
export async function thawAll({ hooks, ownFolder }: Pick<FreezeOrder, 'hooks' | 'ownFolder'>): Promise<void> {
  for (const { hook } of [...hooks].reverse()) await freezerOf(hook, ownFolder).thaw().catch(() => undefined);
}

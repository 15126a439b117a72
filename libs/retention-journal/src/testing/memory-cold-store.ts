// SPDX-License-Identifier: Apache-2.0
// A cold store in memory that fails on purpose: the fake behind the crash tests. It survives power cuts of the machine that uses it.
import { type ByteCount, OperationError } from '@secondsite/units';
import type { ColdObject, ColdStore } from '../cold-store';

export interface ColdOperation {
  readonly kind: 'put' | 'read' | 'list' | 'remove';
  readonly name: string;
}

/**
 * What happens instead. `unreachable`: nothing. `torn`: half of it, then it fails. `unanswered`: all of it, then it fails. `short`: an object is
 * kept without its end, and the store says that all is well.
 */
export type ColdFault = 'unreachable' | 'torn' | 'unanswered' | 'short';

export class MemoryColdStore implements ColdStore {
  readonly objects = new Map<string, Uint8Array>();
  /** Decides the fate of each operation; undefined lets it happen. */
  fault: ((operation: ColdOperation) => ColdFault | undefined) | undefined;
  /** Those that were not refused at once. */
  readonly operations: ColdOperation[] = [];
  #closed = false;

  async put(name: string, content: Uint8Array): Promise<void> {
    const fault = this.#admit({ kind: 'put', name });
    const kept = fault === 'torn' || fault === 'short' ? content.slice(0, Math.floor(content.length / 2)) : content.slice();
    this.objects.set(name, kept);
    if (fault === 'torn' || fault === 'unanswered') throw unreachable(name);
  }

  async read(name: string, { offset, length }: { readonly offset: number; readonly length: ByteCount }): Promise<Uint8Array> {
    this.#admit({ kind: 'read', name });
    const content = this.objects.get(name);
    if (!content) throw notFound(name);
    return content.slice(offset, offset + length);
  }

  async *list(prefix: string): AsyncGenerator<readonly ColdObject[]> {
    this.#admit({ kind: 'list', name: prefix });
    const found = [...this.objects].filter(([name]) => name.startsWith(prefix)).map(([name, { length }]) => ({ name, bytes: length }));
    for (let at = 0; at < found.length; at += 3) yield found.slice(at, at + 3);
  }

  async remove(names: readonly string[]): Promise<void> {
    const fault = this.#admit({ kind: 'remove', name: names[0] ?? '' });
    for (const name of fault === 'torn' ? names.slice(1) : names) this.objects.delete(name);
    if (fault !== undefined) throw unreachable(names[0] ?? '');
  }

  close(): void {
    this.#closed = true;
  }

  #admit(operation: ColdOperation): ColdFault | undefined {
    const fault = this.fault?.(operation);
    if (this.#closed || fault === 'unreachable') throw unreachable(operation.name);
    this.operations.push(operation);
    return fault;
  }
}

function unreachable(name: string): OperationError {
  return new OperationError({ code: 'cold-store/unreachable', operation: 'use cold store', context: { name }, retryable: true, hint: 'This failure is simulated.' });
}

function notFound(name: string): OperationError {
  return new OperationError({ code: 'cold-store/not-found', operation: 'read from cold store', context: { name }, retryable: false, hint: 'Somebody removed it.' });
}

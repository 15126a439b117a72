// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { serveThread } from '../serve-thread';
import { transferring } from '../thread-contract';

/** What the sample worker of this library's specs does. */
export interface SampleThread {
  requests: {
    add(input: { a: number; b: number }): number;
    /** Adds 1 to the first byte and gives the memory back. */
    touch(input: ArrayBuffer): ArrayBuffer;
    failKnown(input: undefined): void;
    failUnknown(input: undefined): void;
    never(input: undefined): void;
    crash(input: undefined): void;
  };
  events: { counted: number };
  notices: { count: number };
}

export interface SampleData {
  readonly failAtStart?: boolean;
  readonly failAtClose?: boolean;
}

serveThread<SampleThread, SampleData>((side, data) => {
  if (data.failAtStart) throw knownError('open sample');
  side.emit('counted', 0);
  return {
    requests: {
      add: ({ a, b }) => a + b,
      touch: (memory) => {
        const bytes = new Uint8Array(memory);
        bytes[0] = (bytes[0] ?? 0) + 1;
        return transferring(memory, [memory]);
      },
      failKnown: () => {
        throw knownError('write sample');
      },
      failUnknown: () => {
        throw new TypeError('surprise');
      },
      never: () => new Promise<void>(() => undefined),
      crash: () => {
        setImmediate(() => {
          throw new RangeError('bug in the worker');
        });
        return new Promise<void>(() => undefined);
      },
    },
    notices: { count: (value) => side.emit('counted', value) },
    close: () => {
      side.emit('counted', -1);
      if (data.failAtClose) throw knownError('flush sample');
    },
  };
});

function knownError(operation: string): OperationError {
  const cause = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  return new OperationError({ code: 'storage/no-space', operation, context: { freeBytes: 7 }, retryable: true, hint: 'Free some space.', cause });
}

// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { nbdErrno, optionReply } from '../protocol';

const requestFailures: Readonly<Record<number, { code: string; retryable: boolean; hint: string }>> = {
  [nbdErrno.EPERM]: { code: 'storage/read-only', retryable: false, hint: 'The export is read-only.' },
  [nbdErrno.EIO]: { code: 'storage/io-error', retryable: true, hint: 'The server could not read or write its disk; see its log.' },
  [nbdErrno.ENOMEM]: { code: 'storage/no-memory', retryable: true, hint: 'The server is out of memory.' },
  [nbdErrno.EINVAL]: { code: 'storage/out-of-range', retryable: false, hint: 'The range lies outside the export or is not aligned to its blocks.' },
  [nbdErrno.ENOSPC]: { code: 'storage/no-space', retryable: true, hint: 'The storage behind the server is full, or the write goes past its end.' },
  [nbdErrno.EOVERFLOW]: { code: 'storage/out-of-range', retryable: false, hint: 'The request is larger than the server allows.' },
  [nbdErrno.ENOTSUP]: { code: 'storage/unsupported', retryable: false, hint: 'The server can not do this (quickly).' },
  [nbdErrno.ESHUTDOWN]: { code: 'service/shutting-down', retryable: true, hint: 'The server is shutting down; connect again later.' },
};

/** What the server answered a request with. */
export function requestFailed(operation: string, failure: { errno: number; offset: number; length: number }): OperationError {
  const known = requestFailures[failure.errno] ?? { code: 'storage/io-error', retryable: true, hint: `The server answered with error ${failure.errno}.` };
  return new OperationError({ ...known, operation, context: { offset: failure.offset, length: failure.length, errno: failure.errno } });
}

export function protocolBroken(hint: string): OperationError {
  return new OperationError({ code: 'nbd/protocol', operation: 'talk to NBD server', retryable: false, hint });
}

export function connectionLost(hint: string, cause?: unknown): OperationError {
  return new OperationError({ code: 'nbd/disconnected', operation: 'talk to NBD server', retryable: true, hint, cause });
}

const refusals: Readonly<Record<number, string>> = {
  [optionReply.unsupported]: 'The server does not know this option.',
  [optionReply.policy]: 'The server does not permit this to us.',
  [optionReply.invalid]: 'The server finds the option malformed.',
  [optionReply.platform]: 'The server can not do this on its platform.',
  [optionReply.tlsRequired]: 'The server wants TLS: use an nbds:// address.',
  [optionReply.unknownExport]: 'The server has no export of this name.',
  [optionReply.shuttingDown]: 'The server is shutting down.',
  [optionReply.blockSizeRequired]: 'The server insists on its block sizes.',
  [optionReply.tooBig]: 'The option is too large for the server.',
};

/** The server refused an option while connecting. */
export function refused(operation: string, refusal: { type: number; text: string }): OperationError {
  const code = refusal.type === optionReply.unknownExport ? 'nbd/unknown-export' : refusal.type === optionReply.tlsRequired ? 'nbd/tls-required' : 'nbd/refused';
  const said = refusal.text === '' ? '' : ` It says: ${refusal.text}`;
  return new OperationError({ code, operation, retryable: false, hint: `${refusals[refusal.type] ?? 'The server refused.'}${said}` });
}

// SPDX-License-Identifier: Apache-2.0
// Heads of HTTP/1.1 requests as RFC 9112 has them, read strictly: what is ambiguous (two lengths, a length beside chunks, folded lines) is
// refused. Only what our own senders, curl and proxies send is needed here; bodies have a known length or are refused by the server.
import { MIB } from '@secondsite/units';

export const HEAD_BYTES_MAX = 8192;

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  /** Names in lower case; a name that came twice has its values joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** Undefined: none was given. */
  readonly contentLength: number | undefined;
  /** The body comes in chunks, so its end is not known. */
  readonly chunked: boolean;
  readonly keepAlive: boolean;
}

export type ParsedHead =
  /** `headBytes`: where the body begins. */
  | { readonly kind: 'head'; readonly head: RequestHead; readonly headBytes: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'refused'; readonly status: 400 | 431; readonly detail: string };

const endOfHead = Buffer.from('\r\n\r\n');
const requestLine = /^([A-Z]{1,16}) ([!-~]{1,2048}) HTTP\/1\.([01])$/;
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0-\x08\x0a-\x1f\x7f]*?)[ \t]*$/;
const lengthText = /^[0-9]{1,12}$/;
const lengthMax = 1024 * 1024 * MIB;

/** Looks for one head at the start of `bytes`. */
export function parseRequestHead(bytes: Buffer): ParsedHead {
  const first = bytes[0];
  if (first !== undefined && (first < 0x41 || first > 0x5a)) return refused(400, 'this is not HTTP');
  const end = bytes.indexOf(endOfHead);
  if (end > HEAD_BYTES_MAX || (end < 0 && bytes.length > HEAD_BYTES_MAX)) return refused(431, `the head is longer than ${HEAD_BYTES_MAX} bytes`);
  if (end < 0) return { kind: 'incomplete' };
  const [line = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n');
  const request = requestLine.exec(line);
  if (!request) return refused(400, 'the request line is malformed');
  const headers = headersOf(fields);
  if (!headers) return refused(400, 'a header line is malformed');
  const chunked = headers.has('transfer-encoding');
  const length = headers.get('content-length');
  if (length !== undefined && (chunked || !lengthText.test(length) || Number(length) > lengthMax)) return refused(400, 'the length of the body is not clear');
  const connection = headers.get('connection')?.toLowerCase() ?? '';
  const head = {
    method: request[1] as string, path: request[2] as string, headers, chunked,
    contentLength: length === undefined ? undefined : Number(length),
    keepAlive: request[3] === '1' && !connection.includes('close'),
  };
  return { kind: 'head', head, headBytes: end + endOfHead.length };
}

function headersOf(lines: readonly string[]): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const field = headerLine.exec(line);
    if (!field) return undefined;
    const name = (field[1] as string).toLowerCase();
    const before = headers.get(name);
    headers.set(name, before === undefined ? (field[2] as string) : `${before}, ${field[2]}`);
  }
  return headers;
}

function refused(status: 400 | 431, detail: string): ParsedHead {
  return { kind: 'refused', status, detail };
}

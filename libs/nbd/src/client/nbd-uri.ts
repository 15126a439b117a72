// SPDX-License-Identifier: Apache-2.0
// Source: NBD URI specification (doc/uri.md of the NetworkBlockDevice project).
import { OperationError } from '@secondsite/units';

export interface NbdTarget {
  readonly address: { readonly unixSocket: string } | { readonly host: string; readonly port: number };
  readonly exportName: string;
  /** The connection must be TLS before anything is said about exports. */
  readonly tls: boolean;
}

const defaultPort = 10809;
const schemes: Readonly<Record<string, { tls: boolean; unix: boolean }>> = {
  'nbd:': { tls: false, unix: false },
  'nbds:': { tls: true, unix: false },
  'nbd+unix:': { tls: false, unix: true },
  'nbds+unix:': { tls: true, unix: true },
};

/** Reads `nbd://host[:port]/export`, `nbd+unix:///export?socket=PATH` and the same with `nbds`. Throws OperationError `nbd/bad-uri`. */
export function parseNbdUri(text: string): NbdTarget {
  const uri = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = uri && schemes[uri.protocol];
  if (!uri || !scheme) throw badUri(text, 'It starts with nbd://, nbds://, nbd+unix:// or nbds+unix://.');
  const exportName = decodeURIComponent(uri.pathname.replace(/^\//, ''));
  const unixSocket = uri.searchParams.get('socket');
  if (scheme.unix) {
    if (!unixSocket) throw badUri(text, 'A unix socket address needs ?socket=PATH.');
    return { address: { unixSocket }, exportName, tls: scheme.tls };
  }
  if (!uri.hostname || unixSocket) throw badUri(text, 'A TCP address is a host, with or without a port, and has no socket.');
  const host = uri.hostname.replace(/^\[(.*)\]$/, '$1');
  return { address: { host, port: uri.port === '' ? defaultPort : Number(uri.port) }, exportName, tls: scheme.tls };
}

/** The URI of an export; the inverse of parseNbdUri. */
export function formatNbdUri(target: NbdTarget): string {
  const scheme = target.tls ? 'nbds' : 'nbd';
  const path = encodeURIComponent(target.exportName);
  if ('unixSocket' in target.address) return `${scheme}+unix:///${path}?socket=${encodeURIComponent(target.address.unixSocket).replaceAll('%2F', '/')}`;
  const host = target.address.host.includes(':') ? `[${target.address.host}]` : target.address.host;
  return `${scheme}://${host}:${target.address.port}/${path}`;
}

function badUri(text: string, hint: string): OperationError {
  return new OperationError({ code: 'nbd/bad-uri', operation: 'read NBD address', context: { uri: text }, retryable: false, hint });
}

// SPDX-License-Identifier: Apache-2.0
// QEMU block nodes from what users write: a path or an NBD URI ("NBD URI specification": nbd, nbd+unix, nbds, nbds+unix).
import { OperationError } from '@secondsite/units';

export interface NbdLocation {
  readonly server: { readonly type: 'unix'; readonly path: string } | { readonly type: 'inet'; readonly host: string; readonly port: string };
  readonly exportName: string;
  readonly tls: boolean;
}

/** Where an NBD URI points; undefined when the text is no NBD URI (then it is a path). */
export function parseNbdUri(text: string): NbdLocation | undefined {
  const match = /^(nbds?)(\+unix)?:\/\/([^/]*)\/?([^?]*)(?:\?(.*))?$/.exec(text);
  if (!match) return undefined;
  const exportName = decodeURIComponent(match[4] ?? '');
  const tls = match[1] === 'nbds';
  if (match[2] === undefined) return { server: inetServer(match[3] ?? ''), exportName, tls };
  const path = new URLSearchParams(match[5] ?? '').get('socket');
  if (path === null || path === '') throw badUri(text);
  return { server: { type: 'unix', path }, exportName, tls };
}

export interface NbdNodeOptions {
  readonly nodeName: string;
  readonly location: NbdLocation;
  /** Seconds a lost connection may take to come back while requests wait; 0 fails them at once. */
  readonly reconnectDelaySeconds: number;
  /** Id of the tls-creds object when `location.tls`. */
  readonly tlsCredsId?: string;
  /** Name the server's certificate must carry; the host of the URI by default. */
  readonly tlsHostname?: string;
}

/** Arguments of blockdev-add or -blockdev for an NBD export. */
export function nbdNode(options: NbdNodeOptions): Record<string, unknown> {
  const { location, tlsCredsId, tlsHostname } = options;
  return {
    driver: 'nbd',
    'node-name': options.nodeName,
    server: location.server,
    export: location.exportName,
    'reconnect-delay': options.reconnectDelaySeconds,
    ...(location.tls && tlsCredsId !== undefined ? { 'tls-creds': tlsCredsId } : {}),
    ...(location.tls && tlsHostname !== undefined ? { 'tls-hostname': tlsHostname } : {}),
  };
}

/** Arguments of -blockdev for a raw file or block device; discards reach it. */
export function fileNode(options: { nodeName: string; path: string }): Record<string, unknown> {
  const driver = options.path.startsWith('/dev/') ? 'host_device' : 'file';
  return { driver, 'node-name': options.nodeName, filename: options.path, discard: 'unmap' };
}

function inetServer(authority: string): NbdLocation['server'] {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(authority);
  if (!match) throw badUri(authority);
  return { type: 'inet', host: match[1] ?? (match[2] || 'localhost'), port: match[3] ?? '10809' };
}

function badUri(text: string): OperationError {
  const hint = 'Write nbd+unix:///export?socket=/path, nbd://host:port/export or nbds://host:port/export.';
  return new OperationError({ code: 'qemu/bad-disk', operation: 'read an NBD URI', context: { uri: text }, retryable: false, hint });
}

// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert';
import { dirname, relative } from 'node:path';

/** Paths of PEM files; clients must have a certificate of the same authority. Certificate and key may be one file. */
export interface NatsTlsFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate's name and what its bearer may do. */
export interface NatsUser {
  /** Subject of the certificate as in RFC 2253, e.g. `CN=host-1,OU=agent,O=default`, or a URI or DNS name in it. */
  readonly user: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export interface NatsConfigOptions {
  /** Where this text will be: the file of users is named from there. */
  readonly configFile: string;
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
  readonly storeDir: string;
  readonly portsDir: string;
  readonly pidFile: string;
  readonly tls?: NatsTlsFiles | undefined;
  /** What `natsUsersText` made; must be there when the server starts. Absent: every certificate of the authority may do everything. */
  readonly usersFile?: string | undefined;
}

const quote = JSON.stringify;

/** Text of the configuration file; understood by nats-server 2.9 and newer. */
export function natsConfig(options: NatsConfigOptions): string {
  const lines = [
    `listen: ${quote(`${options.host}:${options.port}`)}`,
    `server_name: ${quote(options.serverName)}`,
    `ports_file_dir: ${quote(options.portsDir)}`,
    `pid_file: ${quote(options.pidFile)}`,
    'max_payload: 4MB',
    `jetstream { store_dir: ${quote(options.storeDir)}, max_memory_store: 256MB, max_file_store: 16GB }`,
  ];
  if (options.tls) lines.push(tlsBlock(options.tls, options.usersFile !== undefined));
  // nats-server puts the folder of its configuration before every included path, also before an absolute one.
  if (options.usersFile !== undefined) lines.push(`authorization {\n  include ${quote(relative(dirname(options.configFile), options.usersFile))}\n}`);
  return `${lines.join('\n')}\n`;
}

/** Text of the file of users: to be included inside `authorization { }`. The same users give the same text, in whatever order they come. */
export function natsUsersText(users: readonly NatsUser[]): string {
  assert(users.length > 0, 'nats-server takes an empty list for none: everybody could do everything');
  const sorted = [...users].sort((left, right) => (left.user < right.user ? -1 : 1));
  return `users: [\n${sorted.map(userLine).join('\n')}\n]\n`;
}

function tlsBlock(tls: NatsTlsFiles, mapped: boolean): string {
  const files = `cert_file: ${quote(tls.certFile)}, key_file: ${quote(tls.keyFile)}, ca_file: ${quote(tls.caFile)}`;
  return `tls { ${files}, ${mapped ? 'verify_and_map' : 'verify'}: true, timeout: 10 }`;
}

function userLine(user: NatsUser): string {
  return `  { user: ${quote(user.user)}, permissions: { publish: ${subjects(user.publish)}, subscribe: ${subjects(user.subscribe)}, allow_responses: true } }`;
}

/** To nats-server an empty list of what is allowed means that everything is. */
function subjects(allowed: readonly string[]): string {
  return allowed.length === 0 ? '{ deny: ">" }' : quote(allowed);
}

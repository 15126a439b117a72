// SPDX-License-Identifier: Apache-2.0
/** Paths of PEM files; clients must have a certificate of the same authority. */
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
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
  readonly storeDir: string;
  readonly portsDir: string;
  readonly tls?: NatsTlsFiles | undefined;
  /** Absent: every certificate of the authority may do everything. */
  readonly users?: readonly NatsUser[] | undefined;
}

const quote = JSON.stringify;

/** Text of the configuration file; understood by nats-server 2.9 and newer. */
export function natsConfig(options: NatsConfigOptions): string {
  const lines = [
    `listen: ${quote(`${options.host}:${options.port}`)}`,
    `server_name: ${quote(options.serverName)}`,
    `ports_file_dir: ${quote(options.portsDir)}`,
    'max_payload: 4MB',
    `jetstream { store_dir: ${quote(options.storeDir)}, max_memory_store: 256MB, max_file_store: 16GB }`,
  ];
  if (options.tls) lines.push(tlsBlock(options.tls, options.users !== undefined));
  if (options.users) lines.push(`authorization { users: [\n${options.users.map(userLine).join('\n')}\n] }`);
  return `${lines.join('\n')}\n`;
}

function tlsBlock(tls: NatsTlsFiles, mapped: boolean): string {
  const files = `cert_file: ${quote(tls.certFile)}, key_file: ${quote(tls.keyFile)}, ca_file: ${quote(tls.caFile)}`;
  return `tls { ${files}, ${mapped ? 'verify_and_map' : 'verify'}: true, timeout: 10 }`;
}

function userLine(user: NatsUser): string {
  return `  { user: ${quote(user.user)}, permissions: { publish: ${quote(user.publish)}, subscribe: ${quote(user.subscribe)}, allow_responses: true } }`;
}

// SPDX-License-Identifier: Apache-2.0
import { verifiedPeer } from '@secondsite/certificates/tls';
import { type BlockDevice, NbdServer } from '@secondsite/nbd';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TlsOptions, TLSSocket } from 'node:tls';

export interface ViewExporterOptions {
  /** Folder of the unix sockets; kept short by the caller, because socket paths are limited to 107 bytes. */
  readonly socketFolder: string;
  readonly listenHost: string;
  readonly advertiseHost: string;
  /** Absent: plain TCP (development switch). */
  readonly tls?: { readonly options: TlsOptions; readonly tenantId: string } | undefined;
}

export interface ExportedView {
  readonly nbdUris: readonly string[];
  readonly port: number;
  close(): Promise<void>;
}

/** Serves views over NBD: each on a unix socket for this machine, and on a TCP port with mutual TLS. */
export class ViewExporter {
  #tls: ViewExporterOptions['tls'];
  readonly #tcpServers = new Set<NbdServer>();

  constructor(private readonly options: ViewExporterOptions) {
    this.#tls = options.tls;
  }

  /** `port`: wanted TCP port; another one is taken when it is not free. */
  async serve({ viewId, device, port }: { readonly viewId: string; readonly device: BlockDevice; readonly port: number }): Promise<ExportedView> {
    await mkdir(this.options.socketFolder, { recursive: true });
    const local = new NbdServer();
    local.addExport({ name: viewId, device });
    const unixSocket = join(this.options.socketFolder, `${viewId}.sock`);
    await local.listen({ unixSocket });
    const remote = new NbdServer(this.#tcpOptions());
    remote.addExport({ name: viewId, device });
    const bound = await this.#listen(remote, port);
    this.#tcpServers.add(remote);
    const scheme = this.#tls ? 'nbds' : 'nbd';
    return {
      port: bound,
      nbdUris: [`nbd+unix:///${viewId}?socket=${encodeURI(unixSocket)}`, `${scheme}://${this.options.advertiseHost}:${bound}/${viewId}`],
      close: async () => {
        this.#tcpServers.delete(remote);
        await Promise.all([local.close(1000), remote.close(1000)]);
      },
    };
  }

  /** Later connections see the renewed certificate. */
  useCertificate(options: TlsOptions): void {
    if (!this.#tls) return;
    this.#tls = { ...this.#tls, options };
    for (const server of this.#tcpServers) server.setTls({ mode: 'required', options });
  }

  #tcpOptions(): ConstructorParameters<typeof NbdServer>[0] {
    const tls = this.#tls;
    if (!tls) return {};
    const authorize = (_name: string, peer: TLSSocket | undefined): boolean => peer !== undefined && isOfTenant(peer, tls.tenantId);
    return { tls: { mode: 'required', options: tls.options }, authorize };
  }

  async #listen(server: NbdServer, wanted: number): Promise<number> {
    const host = this.options.listenHost;
    try {
      return (await server.listen({ host, port: wanted })).port;
    } catch (error) {
      if (wanted === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      return (await server.listen({ host, port: 0 })).port;
    }
  }
}

function isOfTenant(peer: TLSSocket, tenantId: string): boolean {
  try {
    return verifiedPeer(peer)?.tenantId === tenantId;
  } catch {
    // A foreign certificate: the export does not exist for this client.
    return false;
  }
}

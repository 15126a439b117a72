// SPDX-License-Identifier: Apache-2.0
import { BenchSite } from './bench-site';
import type { Profiles } from './profile/profiles';

const environments = { tls: {}, plain: { SECONDSITE_DATA_TLS: '0' } } as const;

export type SiteKind = keyof typeof environments;

/** The clusters that rows share: `tls` as everybody has it, `plain` without TLS between the parts. */
export class BenchSites {
  readonly #running = new Map<SiteKind, BenchSite>();

  constructor(private readonly profiles: Profiles | undefined) {}

  /** The sites of these kinds and no others: what else runs would take part in what is measured. */
  async only<const Kinds extends readonly SiteKind[]>(...kinds: Kinds): Promise<{ [Index in keyof Kinds]: BenchSite }> {
    for (const [kind, site] of [...this.#running]) if (!kinds.includes(kind)) await this.#stop(kind, site);
    const sites: BenchSite[] = [];
    for (const kind of kinds) sites.push(this.#running.get(kind) ?? (await this.#start(kind)));
    return sites as { [Index in keyof Kinds]: BenchSite };
  }

  /** Stops all and says how much memory each process took. Idempotent. */
  async stop(): Promise<void> {
    for (const [kind, site] of [...this.#running]) await this.#stop(kind, site);
  }

  async #start(kind: SiteKind): Promise<BenchSite> {
    const site = await BenchSite.start({ environment: environments[kind], profiles: this.profiles });
    this.#running.set(kind, site);
    return site;
  }

  async #stop(kind: SiteKind, site: BenchSite): Promise<void> {
    this.#running.delete(kind);
    try {
      const texts = Object.entries(await site.residentMebibytes()).map(([name, { now, peak }]) => `${name} ${now} MiB (peak ${peak})`);
      console.log(`\nresident memory after the rows ${kind === 'tls' ? 'with' : 'without'} TLS (limit 400 MiB each): ${texts.join(', ')}`);
    } finally {
      await site.stop();
    }
  }
}

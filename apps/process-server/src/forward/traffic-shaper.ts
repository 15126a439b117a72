// SPDX-License-Identifier: Apache-2.0
import type { Bandwidth, LimitedLink, Priority, ProcessServerPair } from '@secondsite/contracts';
import { bytesPerSecondAt, type Flow, type LinkClock, ShapedLink, type Transfer } from '@secondsite/traffic-shaping';

/** Waits for the turn of a body; undefined: no limit holds now. */
export type BodyTurn = (signal: AbortSignal | undefined) => Promise<Transfer> | undefined;

export interface TrafficShaperOptions {
  readonly clock: LinkClock;
  /** Milliseconds since 1970, for the weekly schedules. */
  readonly wallMillis: () => number;
}

interface Link {
  /** Undefined: the limit was lifted; who waits goes on. */
  bandwidth: Bandwidth | undefined;
  readonly shaped: ShapedLink;
}

const weights: Readonly<Record<Priority, number>> = { high: 4, normal: 2, low: 1 };

/** The limited links of this process server, which the pairs share by priority. */
export class TrafficShaper {
  readonly #options: TrafficShaperOptions;
  readonly #links = new Map<string, Link>();

  constructor(options: TrafficShaperOptions) {
    this.#options = options;
  }

  /** Obeys changed limits, also for bodies that are going out. */
  configure(wanted: readonly LimitedLink[]): void {
    const names = new Set(wanted.map(({ linkId }) => linkId));
    for (const [linkId, link] of this.#links) {
      if (names.has(linkId)) continue;
      link.bandwidth = undefined;
      this.#links.delete(linkId);
    }
    for (const { linkId, bandwidth } of wanted) {
      const known = this.#links.get(linkId);
      if (known) known.bandwidth = bandwidth;
      else this.#links.set(linkId, this.#link(bandwidth));
    }
  }

  /**
   * How the bodies of a pair go out. The turn is that of the pair's narrowest link; the others only pace, so that a body which a plan's limit makes
   * slow does not keep a turn of the target's link.
   */
  turnsOf({ pairId, priority, linkIds }: ProcessServerPair): BodyTurn {
    const flow = { flow: pairId, weight: weights[priority] };
    return (signal) => {
      const links = linkIds.flatMap((linkId) => this.#links.get(linkId)?.shaped ?? []);
      const first = links.findIndex((link) => link.isLimited);
      return links[first]?.begin(flow, signal)?.then((transfer) => paced(transfer, { flow, others: links.slice(first + 1) }));
    };
  }

  #link(bandwidth: Bandwidth): Link {
    const { clock, wallMillis } = this.#options;
    const link: Link = { bandwidth, shaped: new ShapedLink({ clock, bytesPerSecond: () => link.bandwidth && bytesPerSecondAt(link.bandwidth, wallMillis()) }) };
    return link;
  }
}

function paced(transfer: Transfer, { flow, others }: { readonly flow: Flow; readonly others: readonly ShapedLink[] }): Transfer {
  if (others.length === 0) return transfer;
  return {
    pace: (bytes) => {
      const due = [transfer.pace(bytes), ...others.map((link) => link.pace(flow, bytes))].flatMap((wait) => wait ?? []);
      return due.length === 0 ? undefined : Promise.all(due).then(() => undefined);
    },
    end: () => transfer.end(),
  };
}

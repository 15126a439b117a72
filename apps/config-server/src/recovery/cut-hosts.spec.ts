// SPDX-License-Identifier: Apache-2.0
// The coordinator against hosts that are slow, silent, dead or gone on the way. Each host keeps a stream of what it did, so that the rule is seen:
// nobody cuts before all hold, and who cuts has held without a break since.
import { describe, expect, it } from '@jest/globals';
import { OperationError } from '@secondsite/units';
import fc from 'fast-check';
import { cutHosts, type HostCutter, type HostToCut } from './cut-hosts';

const bookmark = { bookmarkId: 'b', name: 'n', level: 'user', planId: 'p' } as const;
const hosts: HostToCut[] = ['a', 'b', 'c'].map((hostId) => ({ hostId, volumeIds: [`${hostId}-disk`] }));

interface Behaviour {
  /** How long holding takes in each try; the last for all later ones. `silent`: it holds, but its answer is lost. */
  readonly holds: readonly (number | 'silent' | 'refused' | 'dead')[];
  readonly cut?: 'done' | 'lost' | 'refused';
}

function failure(code: string): OperationError {
  return new OperationError({ code, operation: 'x', retryable: true, hint: code });
}

/** Hosts on a clock of their own; `calls` is what they saw, in order. */
class FakeHosts implements HostCutter {
  readonly calls: string[] = [];
  #now = 0;

  constructor(private readonly behaviours: Readonly<Record<string, Behaviour>>) {}

  millis(): number {
    return this.#now;
  }

  async pause(): Promise<void> {
    this.calls.push('pause');
  }

  async hold({ hostId }: HostToCut, { holdId }: { readonly holdId: string }): Promise<void> {
    const { holds } = this.#of(hostId);
    const how = holds[Math.min(Number(holdId.split('-').at(-1)), holds.length) - 1] as Behaviour['holds'][number];
    if (how === 'dead') throw failure('bus/no-responder');
    if (how === 'refused') throw failure('bookmark/not-in-data-mode');
    this.calls.push(`hold ${hostId} ${holdId}`);
    if (how === 'silent') throw failure('bus/timeout');
    this.#now += how;
  }

  async cut({ hostId }: HostToCut, { holdId }: { readonly holdId: string }) {
    const { cut = 'done' } = this.#of(hostId);
    this.calls.push(`cut ${hostId} ${holdId}`);
    if (cut !== 'done') throw failure(cut === 'lost' ? 'bus/timeout' : 'bookmark/held-too-long');
    return { time: `time ${hostId}`, heldMillis: 3, cuts: [] };
  }

  async release({ hostId }: HostToCut, holdId: string): Promise<void> {
    this.calls.push(`release ${hostId} ${holdId}`);
  }

  #of(hostId: string): Behaviour {
    return this.behaviours[hostId] as Behaviour;
  }
}

const quick: Behaviour = { holds: [1] };

async function attempt(fake: FakeHosts): Promise<string> {
  return cutHosts(hosts, bookmark, fake).then((cuts) => cuts.map(({ hostId, time }) => `${hostId}: ${time}`).join(', '), (error: OperationError) => error.code);
}

function indexesOf(calls: readonly string[], act: string): number[] {
  return calls.flatMap((call, index) => (call.startsWith(`${act} `) ? [index] : []));
}

describe('a cut through several hosts', () => {
  it('holds all, then cuts all, and tells the time of each', async () => {
    const fake = new FakeHosts({ a: quick, b: quick, c: quick });
    expect(await attempt(fake)).toBe('a: time a, b: time b, c: time c');
    expect(fake.calls).toEqual(['hold a b-1', 'hold b b-1', 'hold c b-1', 'cut a b-1', 'cut b b-1', 'cut c b-1']);
  });

  it('lets all go and tries again when holding was slow, and cuts in the end although one is always slow', async () => {
    const once = new FakeHosts({ a: quick, b: { holds: [30, 1] }, c: quick });
    await attempt(once);
    expect(once.calls.filter((call) => call.startsWith('cut'))).toEqual(['cut a b-2', 'cut b b-2', 'cut c b-2']);
    const always = new FakeHosts({ a: quick, b: { holds: [30] }, c: quick });
    expect(await attempt(always)).toContain('b: time b');
    expect(indexesOf(always.calls, 'hold')).toHaveLength(15);
  });

  it('gives a silent host up soon, without a cut, and names it', async () => {
    const fake = new FakeHosts({ a: quick, b: { holds: ['silent'] }, c: quick });
    await expect(cutHosts(hosts, bookmark, fake)).rejects.toMatchObject({ code: 'bookmark/host-silent', context: { hostId: 'b' } });
    expect(indexesOf(fake.calls, 'cut')).toEqual([]);
    expect(indexesOf(fake.calls, 'hold')).toHaveLength(9);
    expect(fake.calls.filter((call) => call === 'release a b-3')).toHaveLength(1);
  });

  it('fails at once with what a host answers', async () => {
    const fake = new FakeHosts({ a: { holds: ['silent'] }, b: { holds: ['refused'] }, c: quick });
    expect(await attempt(fake)).toBe('bookmark/not-in-data-mode');
    expect(indexesOf(fake.calls, 'pause')).toEqual([]);
  });

  it('cuts only while all hold and nobody was let go since; whatever fails, everybody is released and the caller hears of it', async () => {
    const behaviour = fc.record({
      holds: fc.array(fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom('silent' as const, 'refused' as const, 'dead' as const)), { minLength: 1, maxLength: 4 }),
      cut: fc.constantFrom('done' as const, 'done' as const, 'lost' as const, 'refused' as const),
    });
    await fc.assert(fc.asyncProperty(behaviour, behaviour, behaviour, async (a, b, c) => {
      const fake = new FakeHosts({ a, b, c });
      const outcome = await attempt(fake);
      const cuts = indexesOf(fake.calls, 'cut');
      const isCut = [a, b, c].every((one) => one.cut === 'done') && cuts.length > 0;
      expect(outcome.startsWith('a: time a')).toBe(isCut);
      const [first = Infinity] = cuts;
      const holdId = fake.calls[first]?.split(' ')[2];
      for (const { hostId } of hosts) {
        const held = fake.calls.indexOf(`hold ${hostId} ${holdId}`);
        if (cuts.length > 0) expect([held >= 0, held < first]).toEqual([true, true]);
        expect(fake.calls.slice(held, first).some((call) => cuts.length > 0 && call === `release ${hostId} ${holdId}`)).toBe(false);
        expect(fake.calls.findLast((call) => call.split(' ')[1] === hostId)?.split(' ')[0]).toBe(isCut ? 'cut' : 'release');
      }
    }));
  });
});

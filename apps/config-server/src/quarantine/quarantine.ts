// SPDX-License-Identifier: Apache-2.0
import { type KeptChangeSet, quarantineAtMasterTargetOperation, quarantineAtProcessServerOperation } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import { isOperationError } from '@secondsite/units';
import type { PairRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findSubject, livePairs } from '../read-models/find';

interface Keeper {
  readonly operation: typeof quarantineAtMasterTargetOperation;
  readonly role: KeptChangeSet['component']['role'];
  readonly componentId: string;
  readonly pairs: readonly PairRow[];
}

const askMillisMax = 3_000;

/** Change sets that were refused (I6), where they are kept. */
export class QuarantineService {
  constructor(private readonly bus: MessageBus, private readonly directories: DirectoryCache) {}

  /** Of a plan, a volume, or all; oldest epoch first. `silent`: components that did not answer. */
  async list(of: string | undefined): Promise<{ readonly sets: KeptChangeSet[]; readonly silent: string[] }> {
    const directory = await this.directories.load();
    const pairs = of === undefined ? livePairs(directory) : findSubject(directory, of).pairs;
    const keepers = [
      ...keepersOf(pairs, { operation: quarantineAtProcessServerOperation, role: 'process-server', idOf: (pair) => pair.processServerId }),
      ...keepersOf(pairs, { operation: quarantineAtMasterTargetOperation, role: 'master-target', idOf: (pair) => pair.masterTargetId }),
    ];
    const answers = await Promise.all(keepers.map(async (keeper) => ({ keeper, sets: await this.#ask(keeper) })));
    return {
      sets: answers.flatMap(({ sets }) => sets ?? []).sort(inStreamOrder),
      silent: answers.flatMap(({ keeper, sets }) => (sets === undefined ? [`${keeper.role} ${keeper.componentId}`] : [])),
    };
  }

  async #ask({ operation, role, componentId, pairs }: Keeper): Promise<KeptChangeSet[] | undefined> {
    const names = new Map(pairs.map((pair) => [pair.pairId, pair.volumeName]));
    try {
      const { sets } = await this.bus.request(operation, { componentId, timeoutMillis: askMillisMax }, { pairIds: [...names.keys()] });
      return sets.map((set) => ({ ...set, volumeName: names.get(set.pairId) ?? set.pairId, component: { role, componentId } }));
    } catch (error) {
      if (isOperationError(error, 'bus/no-responder') || isOperationError(error, 'bus/timeout')) return undefined;
      throw error;
    }
  }
}

function keepersOf(pairs: readonly PairRow[], { idOf, ...kind }: Pick<Keeper, 'operation' | 'role'> & { readonly idOf: (pair: PairRow) => string }): Keeper[] {
  return [...Map.groupBy(pairs, idOf)].map(([componentId, own]) => ({ ...kind, componentId, pairs: own }));
}

function inStreamOrder(left: KeptChangeSet, right: KeptChangeSet): number {
  if (left.volumeName !== right.volumeName) return left.volumeName < right.volumeName ? -1 : 1;
  return left.epoch - right.epoch || left.sequence - right.sequence;
}

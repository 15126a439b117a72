// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import type { Bandwidth, Component, FreezeHook, Host, Priority, Tap, Volume } from '@secondsite/contracts';
import { inventoryDecider, silentAfterMicros } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { isoFromMicros } from '@secondsite/units';
import { setTimeout as delay } from 'node:timers/promises';
import type { CommandOrigin, CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { LiveStatus } from '../live/live-status';
import type { ComponentRow, Directory, HostRow, PairRow, VolumeRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findComponent, findVolume, keptPairs, livePairs } from '../read-models/find';
import type { ServerClock } from '../server-clock';

export interface VolumeWish {
  readonly name: string;
  readonly host: string;
  readonly tap: Tap;
  readonly sizeBytes: number | undefined;
}

const inventory = { decider: inventoryDecider, streamId: streams.inventory };

/** Hosts, components and volumes (F40). */
export class InventoryService {
  constructor(
    private readonly commands: CommandRunner,
    private readonly directories: DirectoryCache,
    private readonly live: LiveStatus,
    private readonly clock: ServerClock,
  ) {}

  async addHost(name: string, origin: CommandOrigin): Promise<Host> {
    const hostId = `host-${randomBytes(5).toString('hex')}`;
    await this.commands.run(origin, (unit) => unit.decide(inventory, { kind: 'add-host', hostId, name }));
    const hosts = await this.listHosts();
    return hosts.find((host) => host.hostId === hostId) as Host;
  }

  /** `reference`: id or name. */
  async changeHost(reference: string, { priority, origin }: { readonly priority: Priority; readonly origin: CommandOrigin }): Promise<Host> {
    await this.commands.run(origin, (unit) => unit.decide(inventory, { kind: 'change-host-priority', host: reference, priority }));
    const hosts = await this.listHosts();
    return hosts.find((host) => host.hostId === reference || host.name === reference) as Host;
  }

  /** `reference`: id or name of a master target. */
  async changeComponent(reference: string, { bandwidth, origin }: { readonly bandwidth: Bandwidth | undefined; readonly origin: CommandOrigin }): Promise<Component> {
    const { componentId } = findComponent(await this.directories.load(), reference);
    await this.commands.run(origin, (unit) => unit.decide(inventory, { kind: 'change-component-bandwidth', componentId, bandwidth }));
    const directory = await this.directories.load();
    return this.component(findComponent(directory, componentId), directory);
  }

  async listHosts(): Promise<Host[]> {
    const directory = await this.directories.load();
    return directory.hosts.map((host) => this.#host(host, directory));
  }

  async listComponents(): Promise<Component[]> {
    const directory = await this.directories.load();
    return directory.components.map((component) => this.component(component, directory));
  }

  /** Waits up to `waitSeconds` until the agent exports the volume. */
  async addVolume(wish: VolumeWish, { origin, waitSeconds }: { readonly origin: CommandOrigin; readonly waitSeconds: number }): Promise<Volume> {
    const volumeId = `vol-${randomBytes(5).toString('hex')}`;
    await this.commands.run(origin, (unit) => unit.decide(inventory, { kind: 'add-volume', volume: { volumeId, ...wish } }));
    const limit = this.clock.now() + waitSeconds * 1e6;
    for (;;) {
      const volume = await this.getVolume(volumeId);
      if (this.#isExported(volume) || !this.#isHeard(volume.hostId) || this.clock.now() >= limit) return volume;
      await delay(100);
    }
  }

  async listVolumes(): Promise<Volume[]> {
    const directory = await this.directories.load();
    return directory.volumes.map((volume) => this.#volume(volume, directory));
  }

  async getVolume(reference: string): Promise<Volume> {
    const directory = await this.directories.load();
    return this.#volume(findVolume(directory, reference), directory);
  }

  async setVolumeHooks(reference: string, hooks: readonly FreezeHook[], origin: CommandOrigin): Promise<Volume> {
    const { volumeId } = findVolume(await this.directories.load(), reference);
    await this.commands.run(origin, (unit) => unit.decide(inventory, { kind: 'set-volume-hooks', volumeId, hooks }));
    return this.getVolume(volumeId);
  }

  async removeVolume(reference: string, origin: CommandOrigin): Promise<void> {
    const directory = await this.directories.load();
    const { volumeId } = findVolume(directory, reference);
    const pair = livePairs(directory).find((one) => one.volumeId === volumeId);
    const kept = keptPairs(directory).find((one) => one.volumeId === volumeId);
    if (kept) throw stillKept(kept, directory);
    const protectedByPlan = pair && directory.plans.find((plan) => plan.planId === pair.planId)?.name;
    await this.commands.run(origin, (unit) => unit.decide(inventory, { kind: 'remove-volume', volumeId, protectedByPlan }));
  }

  component(row: ComponentRow, directory: Directory): Component {
    const { componentId, role, name, enrolledAt, bandwidth } = row;
    const seenAt = this.live.seenAt(componentId);
    const url = this.live.url(componentId) ?? row.url;
    const pairCount = livePairs(directory).filter((pair) => [pair.hostId, pair.processServerId, pair.masterTargetId, pair.movingTo].includes(componentId)).length;
    return {
      componentId, role, name, enrolledAt, pairCount, state: this.#state(componentId), ...(url === undefined ? {} : { url }),
      ...(seenAt === undefined ? {} : { lastSeenAt: isoFromMicros(seenAt) }), ...(bandwidth ? { bandwidth } : {}),
    };
  }

  #state(componentId: string): Component['state'] {
    const seenAt = this.live.seenAt(componentId);
    if (seenAt === undefined) return 'enrolled';
    return this.clock.now() - seenAt > silentAfterMicros ? 'silent' : 'online';
  }

  #host(host: HostRow, directory: Directory): Host {
    const enrolled = directory.components.some((component) => component.componentId === host.hostId);
    const volumeCount = directory.volumes.filter((volume) => volume.hostId === host.hostId).length;
    return { ...host, agent: enrolled ? this.#state(host.hostId) : 'missing', volumeCount };
  }

  #volume(volume: VolumeRow, directory: Directory): Volume {
    const { volumeId, name, hostId, tap, addedAt, hooks } = volume;
    const pair = livePairs(directory).find((one) => one.volumeId === volumeId);
    const keptUntil = keptPairs(directory).find((one) => one.volumeId === volumeId)?.keptUntil;
    const told = this.live.volume(volume);
    const sizeBytes = volume.sizeBytes ?? pair?.sizeBytes ?? told?.sizeBytes;
    return {
      volumeId, name, hostId, tap, addedAt, hooks: [...hooks], hostName: directory.hosts.find((host) => host.hostId === hostId)?.name ?? hostId, nbdUris: told?.nbdUris ?? [],
      ...(sizeBytes === undefined ? {} : { sizeBytes }), ...(pair ? { pairId: pair.pairId, planId: pair.planId } : {}),
      ...(keptUntil === undefined ? {} : { keptUntil }),
    };
  }

  #isExported(volume: Volume): boolean {
    return volume.nbdUris.length > 0 && volume.sizeBytes !== undefined;
  }

  #isHeard(hostId: string): boolean {
    return this.#state(hostId) === 'online';
  }
}

function stillKept({ volumeName, planId, keptUntil = '' }: PairRow, { plans }: Directory): RefusedRequest {
  const plan = plans.find((one) => one.planId === planId)?.name ?? planId;
  const detail = `the replica of volume ${volumeName}, which left plan ${plan}, is kept until ${keptUntil}`;
  const hint = `Wait until then, or delete it now: secondsite plan remove-volume ${plan} ${volumeName} --keep 0 --confirm ${plan}`;
  return new RefusedRequest({ status: 409, code: 'volume/kept', detail, hint });
}

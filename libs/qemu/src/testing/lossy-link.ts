// SPDX-License-Identifier: Apache-2.0
/**
 * A network path on which packets are really late and lost. A guest routes between this machine and a network namespace, and `tc netem` on its cards
 * delays and drops packets; so what crosses it is TCP with retransmissions, not a proxy that sleeps. Netem is seldom in the kernel of a test machine,
 * always in that of the guest. Needs Linux, root, QEMU and iproute2. Everything that it makes in this machine's network is gone after `stop`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { bootGuest, type RunningGuest } from '../boot/boot-guest';
import type { CommandResult } from '../boot/command-channel';
import { runTool } from '../host-tools/run-tool';
import { buildLinkGuest } from './link-guest';
import { sharedGuestFolder } from './shared-guest';

/** Of each direction. */
export interface LinkQuality {
  readonly delayMillis: number;
  readonly lossPercent: number;
  readonly megabitsPerSecond: number;
}

/** Listens inside the namespace and hands the listening socket to its parent: a socket stays in the network in which it was made. */
const listenThere = `
const server = require('node:net').createServer();
server.listen(0, process.argv[1], () => process.send('listening', server, () => process.exit(0)));
`;

export class LossyLink {
  readonly #name: string;
  readonly #addresses: Addresses;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #guest: RunningGuest | undefined;

  private constructor(index: number) {
    this.#name = `lossy${index}`;
    this.#addresses = addressesOf(index);
  }

  /** Programs of this machine that a link needs, besides root. */
  static readonly tools = ['ip', 'tc', 'ldd', 'qemu-system-x86_64', 'qemu-img'];

  static async start(quality: LinkQuality): Promise<LossyLink> {
    const link = new LossyLink(randomInt(subnets));
    try {
      await link.#start(quality);
      return link;
    } catch (error) {
      await link.stop();
      throw error;
    }
  }

  /** Leads to `url` across the link; returns the address to use instead. */
  async lead(url: string): Promise<string> {
    const { protocol, hostname, port } = new URL(url);
    const server = await this.#listen();
    server.on('connection', (near) => this.#join(near, connect(Number(port), hostname)));
    return `${protocol}//${this.#addresses.far}:${(server.address() as AddressInfo).port}`;
  }

  /** Packets that were dropped until now, in both directions. */
  async lostPackets(): Promise<number> {
    const { output } = await this.#run('/sbin/tc -s qdisc show dev eth0; /sbin/tc -s qdisc show dev eth1');
    return [...output.matchAll(/dropped (\d+)/g)].reduce((sum, [, dropped]) => sum + Number(dropped), 0);
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.#guest?.kill();
    await ip('netns', 'delete', this.#name).catch(() => undefined); // A link that did not start may have none.
  }

  async #start(quality: LinkQuality): Promise<void> {
    const [nearTap, farTap] = [`${this.#name}n`, `${this.#name}f`];
    const { near, guestNear, guestFar, far } = this.#addresses;
    await ip('netns', 'add', this.#name);
    const taps = [nearTap, farTap];
    this.#guest = await bootGuest({ guest: await buildLinkGuest(sharedGuestFolder()), mode: 'idle', memoryMebibytes: 128, connectQmp: false, taps });
    await this.#run(routerScript(this.#addresses, quality));
    await ip('address', 'add', `${near}/30`, 'dev', nearTap);
    await ip('link', 'set', nearTap, 'up');
    await ip('route', 'add', `${far}/32`, 'via', guestNear);
    await ip('link', 'set', farTap, 'netns', this.#name);
    await ip('-netns', this.#name, 'address', 'add', `${far}/30`, 'dev', farTap);
    await ip('-netns', this.#name, 'link', 'set', farTap, 'up');
    await ip('-netns', this.#name, 'route', 'add', 'default', 'via', guestFar);
  }

  async #run(script: string): Promise<CommandResult> {
    if (!this.#guest) throw new Error('the link does not run');
    const result = await this.#guest.run(script, { timeLimitMillis: 60_000 });
    if (result.exitCode !== 0) throw new Error(`the guest of the link failed: ${result.output}`);
    return result;
  }

  async #listen(): Promise<Server> {
    const child: ChildProcess = spawn('ip', ['netns', 'exec', this.#name, process.execPath, '-e', listenThere, this.#addresses.far], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const gone = once(child, 'exit');
    const [, server] = (await Promise.race([once(child, 'message'), gone.then(() => Promise.reject(new Error('nobody listens at the far end of the link')))])) as [unknown, Server];
    await gone;
    this.#servers.push(server);
    return server;
  }

  #join(near: Socket, far: Socket): void {
    for (const [from, to] of [[near, far], [far, near]] as const) {
      this.#sockets.add(from);
      from.on('error', () => to.resetAndDestroy());
      from.on('close', () => this.#sockets.delete(from));
      from.pipe(to);
    }
  }
}

interface Addresses {
  readonly near: string;
  readonly guestNear: string;
  readonly guestFar: string;
  readonly far: string;
}

/** Eight addresses each, of those set apart for measurements in networks (RFC 2544): 198.18.0.0/15. */
const subnets = 2 ** 14;

function addressesOf(index: number): Addresses {
  const address = (offset: number): string => {
    const bits = index * 8 + offset;
    return `198.${18 + (bits >> 16)}.${(bits >> 8) & 255}.${bits & 255}`;
  };
  return { near: address(1), guestNear: address(2), guestFar: address(5), far: address(6) };
}

/** By their paths: busybox's shell prefers its own. */
function routerScript({ guestNear, guestFar }: Addresses, { delayMillis, lossPercent, megabitsPerSecond }: LinkQuality): string {
  const card = (name: string, address: string): string[] => [
    // Else what arrives is put together (GRO) before it goes on, and a loss takes dozens of packets at once.
    `/sbin/ip link set ${name} gro_max_size 1500`,
    `ip address add ${address}/30 dev ${name}`, `ip link set ${name} up`,
    `/sbin/tc qdisc add dev ${name} root netem delay ${delayMillis}ms loss ${lossPercent}% rate ${megabitsPerSecond}mbit`,
  ];
  return ['set -e', ...card('eth0', guestNear), ...card('eth1', guestFar), 'echo 1 > /proc/sys/net/ipv4/ip_forward'].join('\n');
}

function ip(...args: string[]): Promise<string> {
  return runTool({ command: 'ip', args, operation: 'set up the network of the link', hint: 'It needs root and iproute2.' });
}

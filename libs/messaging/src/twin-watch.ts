// SPDX-License-Identifier: Apache-2.0
/**
 * Finds another process with the same identity, which is what a copied data folder makes. Locks cannot see it: the copy has a lock of its own. So
 * everybody answers on a subject that only bearers of the identity may use, and asks there before it does its work and at each connection. Whoever
 * finds somebody before its work began yields, whatever the clocks say; of two that were apart (the bus was away) the younger yields. Until it was
 * asked after a connection, nothing should be told on the bus in the name of the identity (`isAlone`).
 */
import { type ComponentAddress, requestSubject } from '@secondsite/contracts';
import type { Msg, Subscription } from 'nats';
import { z } from 'zod';
import type { NatsLink } from './nats-link';

/** One process, as others are told of it. */
const instanceSchema = z.object({
  instanceId: z.string(), startedAtMicros: z.number(), hostName: z.string(), pid: z.number(), dataDir: z.string(),
});
export type Instance = z.infer<typeof instanceSchema>;

const questionSchema = instanceSchema.extend({ isAtWork: z.boolean() });

export interface TwinWatchOptions {
  readonly link: NatsLink;
  readonly identity: ComponentAddress;
  readonly self: Instance;
  /** An older process has the same identity: this one has to end. */
  readonly onElder: (elder: Instance) => void;
  /** Nobody older was found since the connection. */
  readonly onAlone: () => void;
}

const answerMillisMax = 1_000;

/** Where processes with this identity find each other. */
export function twinSubject(identity: ComponentAddress): string {
  return requestSubject(identity, 'twins');
}

export class TwinWatch {
  readonly #options: TwinWatchOptions;
  readonly #subject: string;
  readonly #stops: (() => void)[] = [];
  #subscription: Subscription | undefined;
  #isAtWork = false;
  #isAlone = false;
  #hasYielded = false;

  constructor(options: TwinWatchOptions) {
    this.#options = options;
    this.#subject = twinSubject(options.identity);
  }

  /** Nobody older was found since the bus was last away. */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** Whoever has this identity besides this process; undefined when nobody answers within a second, at once when nobody can. */
  async find(): Promise<Instance | undefined> {
    const { link, self } = this.#options;
    try {
      const question: z.infer<typeof questionSchema> = { ...self, isAtWork: this.#isAtWork };
      return read(instanceSchema, await link.connection().request(this.#subject, JSON.stringify(question), { timeout: answerMillisMax }));
    } catch {
      return undefined; // Nobody is there, or the bus went away; then it is asked again.
    }
  }

  /** The work begins, after `find` found nobody or the bus was away. From now on answers others, and asks at each connection. */
  start(): void {
    const { link, onAlone } = this.#options;
    this.#isAtWork = true;
    this.#isAlone = link.isConnected;
    if (this.#isAlone) onAlone();
    this.#stops.push(
      link.onDisconnected(() => {
        this.#isAlone = false;
      }),
      link.onConnected(() => {
        this.#answerOthers();
        void this.#ask();
      }),
    );
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#subscription?.unsubscribe();
  }

  async #ask(): Promise<void> {
    const { link, onAlone } = this.#options;
    const other = await this.find();
    if (other !== undefined) this.#yieldTo(other);
    if (this.#hasYielded || !link.isConnected) return;
    this.#isAlone = true;
    onAlone();
  }

  #answerOthers(): void {
    if (this.#subscription && !this.#subscription.isClosed()) return;
    const { link, self } = this.#options;
    this.#subscription = link.connection().subscribe(this.#subject, {
      callback: (error, message) => {
        const question = error ? undefined : read(questionSchema, message);
        if (question === undefined || question.instanceId === self.instanceId) return;
        message.respond(JSON.stringify(self));
        const { isAtWork, ...asking } = question;
        if (isAtWork) this.#yieldTo(asking);
      },
    });
  }

  #yieldTo(other: Instance): void {
    const { self, onElder } = this.#options;
    if (this.#hasYielded || !isElder(other, self)) return;
    this.#hasYielded = true;
    this.#isAlone = false;
    this.close();
    onElder(other);
  }
}

function isElder(one: Instance, other: Instance): boolean {
  if (one.startedAtMicros !== other.startedAtMicros) return one.startedAtMicros < other.startedAtMicros;
  return one.instanceId < other.instanceId;
}

/** Undefined: of another version, nothing that could be understood. */
function read<Schema extends z.ZodType>(schema: Schema, message: Msg): z.infer<Schema> | undefined {
  try {
    return schema.parse(message.json());
  } catch {
    return undefined;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { type ComponentAddress, type Operation, type ReplyInputOf, type ReplyOf, type RequestInputOf, type RequestOf, requestSubject } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import { SpanKind } from '@opentelemetry/api';
import { headers, type Msg, type Subscription } from 'nats';
import { busError } from './bus-error';
import { type BusLog, silentLog } from './bus-log';
import type { NatsLink } from './nats-link';
import { errorFromProblem, problemFromError } from './problem-error';
import { inMessageSpan, inSpan, tracedHeaders } from './trace-headers';

const problemHeader = 'Ss-Problem';
const timeoutMillisDefault = 10_000;

export interface RequestTarget {
  readonly tenantId: string;
  readonly componentId: string;
  /** Default 10 s. */
  readonly timeoutMillis?: number;
}

/** Asks one component. Throws what it threw, as OperationError; or `bus/no-responder`, `bus/timeout`, `bus/not-connected`, `bus/reply-invalid`. */
export function requestReply<O extends Operation>(link: NatsLink, operation: O, target: RequestTarget, data: RequestInputOf<O>): Promise<ReplyOf<O>> {
  const subject = requestSubject({ ...target, role: operation.role }, operation.name);
  const body = JSON.stringify(operation.request.parse(data));
  return inSpan(`request ${operation.role} ${operation.name}`, { kind: SpanKind.CLIENT }, async () => {
    const reply = await send(link, { subject, body, timeout: target.timeoutMillis ?? timeoutMillisDefault });
    const json = parseReply(reply, operation.name);
    if (reply.headers?.has(problemHeader)) throw errorFromProblem(json, operation.name);
    const parsed = operation.reply.safeParse(json);
    if (parsed.success) return parsed.data as ReplyOf<O>;
    throw replyInvalid(operation.name, parsed.error);
  });
}

async function send(link: NatsLink, request: { subject: string; body: string; timeout: number }): Promise<Msg> {
  try {
    return await link.connection().request(request.subject, request.body, { timeout: request.timeout, headers: tracedHeaders() });
  } catch (cause) {
    throw busError({ operation: 'send request', context: { subject: request.subject }, cause });
  }
}

function parseReply(reply: Msg, operation: string): unknown {
  try {
    return reply.json();
  } catch (cause) {
    throw replyInvalid(operation, cause);
  }
}

function replyInvalid(operation: string, cause: unknown): OperationError {
  return new OperationError({ code: 'bus/reply-invalid', operation, retryable: false, hint: 'The component answered with something unreadable.', cause });
}

export type OperationHandler<O extends Operation> = (request: RequestOf<O>) => Promise<ReplyInputOf<O>>;

/** Answers requests to this component, several at a time, across reconnections, until closed. A handler that throws OperationError answers with its problem document. */
export function serveOperation<O extends Operation>(
  link: NatsLink, identity: ComponentAddress, operation: O, handler: OperationHandler<O>, log: BusLog = silentLog,
): { close(): void } {
  const subject = requestSubject(identity, operation.name);
  let subscription: Subscription | undefined;
  const stop = link.onConnected(() => {
    if (subscription && !subscription.isClosed()) return;
    subscription = link.connection().subscribe(subject, { callback: (error, message) => (error ? undefined : void answer(message, operation, handler, log)) });
  });
  return {
    close: () => {
      stop();
      subscription?.unsubscribe();
    },
  };
}

async function answer<O extends Operation>(message: Msg, operation: O, handler: OperationHandler<O>, log: BusLog): Promise<void> {
  try {
    const reply = await inMessageSpan(message.headers, `answer ${operation.name}`, async () => handler(operation.request.parse(message.json()) as RequestOf<O>));
    message.respond(JSON.stringify(operation.reply.parse(reply)));
  } catch (error) {
    log.warn({ err: error, operation: operation.name }, 'request failed');
    const problem = headers();
    problem.set(problemHeader, '1');
    message.respond(JSON.stringify(problemFromError(error, operation.name)), { headers: problem });
  }
}

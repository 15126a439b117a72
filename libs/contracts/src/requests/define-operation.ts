// SPDX-License-Identifier: Apache-2.0
import type { z } from 'zod';
import type { Role } from '../scalars';

/** A request with a reply that components of one role answer on `ssr.<tenant>.<role>.<component id>.<name>`. */
export interface Operation<Request extends z.ZodType = z.ZodType, Reply extends z.ZodType = z.ZodType> {
  readonly role: Role;
  readonly name: string;
  readonly summary: string;
  readonly request: Request;
  readonly reply: Reply;
}

export type RequestOf<O extends Operation> = z.infer<O['request']>;
/** What a caller may leave out because the schema has a default. */
export type RequestInputOf<O extends Operation> = z.input<O['request']>;
export type ReplyOf<O extends Operation> = z.infer<O['reply']>;
export type ReplyInputOf<O extends Operation> = z.input<O['reply']>;

export function defineOperation<Request extends z.ZodType, Reply extends z.ZodType>(operation: Operation<Request, Reply>): Operation<Request, Reply> {
  return Object.freeze(operation);
}

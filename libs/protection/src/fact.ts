// SPDX-License-Identifier: Apache-2.0
import type { CurrentEvent } from '@secondsite/contracts';

type FactName = CurrentEvent['type'] extends `secondsite.${infer Name}` ? Name : never;

/** Type and data of a released event, without its envelope: what deciders make and read. `Fact<'protection.plan-created.v1'>`. */
export type Fact<Name extends FactName = FactName> = {
  [One in Name]: { readonly type: `secondsite.${One}`; readonly data: Extract<CurrentEvent, { readonly type: `secondsite.${One}` }>['data'] };
}[Name];

/** Makes a fact from its short name. */
export function fact<Name extends FactName>(name: Name, data: Fact<Name>['data']): Fact<Name> {
  return { type: `secondsite.${name}`, data } as unknown as Fact<Name>;
}

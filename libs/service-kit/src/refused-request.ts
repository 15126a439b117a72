// SPDX-License-Identifier: Apache-2.0
/** A request that was understood and refused: an expected outcome on its way to the client as problem+json. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';

  constructor(readonly refusal: Refusal) {
    super(refusal.detail);
  }
}

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  readonly retryable?: boolean;
  readonly context?: Readonly<Record<string, string | number | boolean>>;
  readonly faults?: readonly { readonly path: string; readonly reason: string }[];
}

// SPDX-License-Identifier: Apache-2.0
/** The tenant that this configuration server serves. */
export class Tenant {
  constructor(readonly id: string) {}
}

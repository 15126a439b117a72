// SPDX-License-Identifier: Apache-2.0
import type { EnrolmentTokenRecord, EnrolmentTokenStore, EnrolmentTokenUse } from '../enrolment-token';

/** Token records in memory: the fake of the store port. */
export class MemoryTokenStore implements EnrolmentTokenStore {
  private readonly records = new Map<string, EnrolmentTokenRecord>();

  add(record: EnrolmentTokenRecord): void {
    this.records.set(record.tokenHash, record);
  }

  async find(tokenHash: string): Promise<EnrolmentTokenRecord | undefined> {
    return this.records.get(tokenHash);
  }

  async markUsed(tokenHash: string, use: EnrolmentTokenUse): Promise<boolean> {
    const record = this.records.get(tokenHash);
    if (record === undefined || record.use !== undefined) return false;
    this.records.set(tokenHash, { ...record, use });
    return true;
  }
}

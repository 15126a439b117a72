// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';

/** Folder where every spec of the repository shares one built guest (downloaded once); `SECONDSITE_GUEST_DIR` or the repository's .cache. */
export function sharedGuestFolder(): string {
  return process.env['SECONDSITE_GUEST_DIR'] ?? join(__dirname, '..', '..', '..', '..', '.cache', 'guest');
}

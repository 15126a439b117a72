// SPDX-License-Identifier: Apache-2.0
import * as runner from '@jest/globals';
import { describeColdStoreContract } from './testing/describe-cold-store-contract';
import { MemoryColdStore } from './testing/memory-cold-store';

describeColdStoreContract('in memory', async () => ({ store: new MemoryColdStore(), dispose: async () => undefined }), runner);

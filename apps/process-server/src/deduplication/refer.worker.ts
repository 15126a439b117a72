// SPDX-License-Identifier: Apache-2.0
// Thread that looks for known blocks in the change sets of all pairs: what it costs is not taken from the thread that receives and forwards.
import { sha256 } from '@secondsite/sha256';
import { serveThread, transferring } from '@secondsite/thread-host';
import { BlockTable } from '@secondsite/wan-deduplication';
import { referToKnownBlocks } from './refer-to-known-blocks';
import type { ReferThread, ReferThreadData } from './refer-thread';

serveThread<ReferThread, ReferThreadData>((_side, { scope, memory }) => {
  const refer = referToKnownBlocks({ scope, table: new BlockTable(memory), sha256 });
  return {
    requests: {
      refer: async ({ bytes, ...options }) => {
        const { fingerprints, referring } = await refer(bytes, options);
        const words = fingerprints.words.slice(0, 2 * fingerprints.length);
        return transferring({ words, referring }, [words.buffer, ...(referring ? [referring.rest.buffer as ArrayBuffer] : [])]);
      },
    },
  };
});

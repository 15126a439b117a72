// SPDX-License-Identifier: Apache-2.0
import { ClusterMember, type ComponentSurroundings, type RunningComponent } from '@secondsite/component';
import type { AgentConfig } from './config';
import { ControlLink } from './control/control-link';
import { EventReporter } from './control/event-reporter';
import { recordHopSpans } from './control/hop-spans';
import { AgentHost } from './host/agent-host';
import { BufferBudget } from './volume/buffer-budget';

/** Of a change set, in a small buffer; see ChangeBuffer. */
const SET_PART = 1 / 16;
/** The rest of the memory is for requests and regions on their way into a change set, and for compressed copies of sets on their way. */
const CHANGE_SETS_PART = 0.65;

/** Starts everything of an agent: identity, bus, volumes; then writes ready.json. Volumes run before the bus can be reached. */
export async function startComponent(config: AgentConfig, { log, metricsUrl, onFatal }: ComponentSurroundings): Promise<RunningComponent> {
  const member = await ClusterMember.join({ role: 'agent', config, log, onFatal });
  const host = await openHost(config, member);
  const link = new ControlLink({ member, host, dataDir: config.dataDir });
  member.onRotated((identity) => host.useCredentials(identity));
  await member.announce({ metricsUrl });
  return {
    notReadyReason: () => host.notReadyReason(),
    close: () => member.leave(async () => {
      link.close();
      await host.close();
    }),
  };
}

function openHost(config: AgentConfig, member: ClusterMember): Promise<AgentHost> {
  const { dataDir, bufferBytesMax, nbdHost, advertiseHost } = config;
  const reporter = new EventReporter(member);
  return AgentHost.open({
    environment: {
      dataDir,
      budget: { shared: BufferBudget.createShared(), bytesMax: Math.floor(bufferBytesMax * CHANGE_SETS_PART) },
      segmentDataBytes: Math.floor(bufferBytesMax * SET_PART),
      nbdTcp: nbdHost === undefined ? undefined : { host: nbdHost, advertiseHost },
      traceRatio: config.otlpEndpoint === undefined ? 0 : config.traceRatio,
      traceSlowMillis: config.otlpEndpoint === undefined ? undefined : config.traceSlowMillis,
    },
    credentials: member.identity,
    onFact: (fact) => reporter.replication(fact),
    onBookmark: (report) => reporter.bookmark(report),
    onPassed: ({ pairId, hops }) => recordHopSpans(pairId, hops),
    onFailure: (error, volumeId) => member.log.warn({ err: error, volumeId }, 'a volume failed; it is tried again'),
  });
}

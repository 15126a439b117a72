// SPDX-License-Identifier: Apache-2.0
import type { ClusterMember, ComponentSurroundings, RunningComponent } from '@secondsite/component';
import { startComponentService } from '@secondsite/service-kit';
import type { MasterTargetConfig } from './config';
import { DataPlane } from './data-plane/data-plane';
import { MasterTargetModule } from './master-target.module';

/** Starts everything of a master target: identity, bus, data plane, control; then writes ready.json. */
export function startComponent(config: MasterTargetConfig, surroundings: ComponentSurroundings): Promise<RunningComponent & { readonly url: string }> {
  const { onFatal } = surroundings;
  const open = (member: ClusterMember): Promise<DataPlane> => DataPlane.open({ config, member, onFatal });
  return startComponentService({ role: 'master-target', config, surroundings, module: MasterTargetModule, dataPlane: { type: DataPlane, open } });
}

// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import {
  bitmapModeEnteredV1, bitmapModeLeftV1, bookmarkCreatedV2, bookmarkFailedV1, changeSetAppliedV2, changeSetRefusedV1, coldStoreFailedV1, coldStoreRecoveredV1, componentRegisteredV1, type CurrentEvent,
  damageFoundV1, damageRepairedV1,
  differentialSyncReachedV1, type EventOf, flowControlEndedV1, flowControlStartedV1, peerRefusedV1, pointRefusedV1, resyncChosenV1, resyncComparedV1, resyncReadV1, resyncRequiredV2,
  resyncStartedV1, retentionShortenedV1, scrubCompletedV1,
  viewClosedV1, viewOpenedV1, volumeGrownV1, volumeRestoredV1, volumeShrunkV1,
} from '@secondsite/contracts';
import { OnEvent } from '@secondsite/service-kit';
import { LiveStatus } from '../live/live-status';
import { ComponentEvents, type PairReport } from './component-events';

/** Facts that components publish. Each method resolves when the event is dealt with and throws when it should be delivered again. */
@Controller()
export class ComponentEventsController {
  constructor(private readonly events: ComponentEvents, private readonly live: LiveStatus) {}

  /** Comes every second and is covered by the next one, so it goes to live status only. */
  @OnEvent(changeSetAppliedV2)
  async applied({ data }: EventOf<typeof changeSetAppliedV2>): Promise<void> {
    this.live.apply(data);
  }

  @OnEvent(componentRegisteredV1)
  registered(event: EventOf<typeof componentRegisteredV1>): Promise<void> {
    return this.events.register(event);
  }

  @OnEvent(
    resyncStartedV1, resyncComparedV1, resyncReadV1, differentialSyncReachedV1, bitmapModeEnteredV1, bitmapModeLeftV1, flowControlStartedV1, flowControlEndedV1, changeSetRefusedV1,
    resyncRequiredV2, resyncChosenV1, volumeGrownV1, volumeShrunkV1, volumeRestoredV1,
  )
  reported(event: PairReport): Promise<void> {
    return this.events.recordReport(event);
  }

  @OnEvent(peerRefusedV1)
  peerRefused(event: EventOf<typeof peerRefusedV1>): Promise<void> {
    return this.events.keepRefusal(event);
  }

  @OnEvent(retentionShortenedV1, coldStoreFailedV1, coldStoreRecoveredV1, damageFoundV1, damageRepairedV1, scrubCompletedV1)
  told(event: CurrentEvent): Promise<void> {
    return this.events.keepForHistory(event);
  }

  @OnEvent(bookmarkCreatedV2, bookmarkFailedV1, viewOpenedV1, viewClosedV1, pointRefusedV1)
  recovery(event: CurrentEvent): Promise<void> {
    return this.events.keepRecovery(event);
  }
}

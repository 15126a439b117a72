// SPDX-License-Identifier: Apache-2.0
import { getOpenApi, rebuildReadModels } from './admin';
import { listAlerts } from './alerts';
import { changeComponent, listComponents } from './components';
import { enrol, issueEnrolmentToken, listEnrolmentTokens, renewCertificate } from './enrolment';
import { addHost, changeHost, listHosts } from './hosts';
import { cancelTargetMove, moveToMasterTarget } from './moves';
import { addPlanVolumes, changePlan, createPlan, getPlanHistory, getPlanStatus, listPlans, pausePlan, removePlan, removePlanVolumes, resumePlan } from './plans';
import { createBookmark, listPoints } from './points';
import { listQuarantine } from './quarantine';
import { requestResync } from './resyncs';
import { pinPoint, previewRetention, unpinPoint } from './retention';
import { explainRpo } from './rpo';
import { scrubVolume } from './scrubs';
import { getStatus, listEvents } from './status';
import { traceVolume } from './traces';
import { closeView, listViews, openViews } from './views';
import { addVolume, getVolume, listVolumes, moveVolume, removeVolume, setVolumeHooks } from './volumes';

/** All REST operations of the configuration server, by operation id. */
export const restRoutes = {
  addHost, listHosts, changeHost, listComponents, changeComponent, addVolume, listVolumes, getVolume, setVolumeHooks, removeVolume, moveVolume,
  issueEnrolmentToken, listEnrolmentTokens, enrol, renewCertificate,
  createPlan, listPlans, getPlanStatus, getPlanHistory, changePlan, addPlanVolumes, removePlanVolumes, pausePlan, resumePlan, removePlan, requestResync, scrubVolume,
  moveToMasterTarget, cancelTargetMove,
  previewRetention, pinPoint, unpinPoint,
  listPoints, createBookmark, openViews, listViews, closeView,
  traceVolume, explainRpo, listAlerts, getStatus, listEvents, listQuarantine, rebuildReadModels, getOpenApi,
} as const;
export type RestRoutes = typeof restRoutes;

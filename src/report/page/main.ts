/** The script of the report page: it reads the facts that the page holds, and asks nobody for anything. */
import { showCauses } from './causes.ts';
import { showCriticalPath } from './critical.ts';
import { setUpDetails } from './details.ts';
import { showDockerfile } from './dockerfile.ts';
import { byId } from './dom.ts';
import { showHeader } from './header.ts';
import { setUpKeys } from './keys.ts';
import { showLayers } from './layers.ts';
import { facts, select } from './state.ts';
import { showSteps } from './steps.ts';
import { setUpTheme } from './theme.ts';
import { showTimeline } from './timeline.ts';

setUpTheme();
showHeader(facts);
showTimeline(facts);
showCriticalPath(facts);
setUpDetails(facts);
showCauses(facts);
showSteps(facts);
showLayers(facts);
showDockerfile(facts);
setUpKeys();
byId('page').hidden = false;
// What somebody opens the page of a failed build for.
if (facts.build.error?.step !== undefined) select(facts.build.error.step);

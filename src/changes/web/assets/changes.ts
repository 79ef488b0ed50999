import htmx from "htmx.org";

import * as copy from "./copy";
import * as dialogs from "./dialogs";
import * as fileLines from "./file_lines";
import * as filters from "./filters";
import * as keys from "./keys";
import * as live from "./live";
import * as log from "./live_log";
import * as menus from "./menus";
import * as palette from "./palette";
import * as slugs from "./slugs";
import * as theme from "./theme";
import * as times from "./times";
import * as toasts from "./toasts";
import * as verdict from "./verdict";

// Each listens on the document, so what a fragment brings later works without being wired up.
for (const part of [copy, dialogs, fileLines, filters, keys, log, live, menus, palette, slugs, theme, times, toasts, verdict]) part.start();

document.documentElement.dataset.scripted = htmx.version;

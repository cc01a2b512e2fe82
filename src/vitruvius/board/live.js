// Follows what a page shows: once the ledger has changed, fetches it again and puts it in place.
// What the reader has opened stays open, and the page stays where it was scrolled to.
const changes = document.currentScript.dataset.changes;
let due = false, busy = false;

async function refresh() {
  due = true;
  if (busy) return;
  busy = true;
  while (due) {
    due = false;
    const answer = await fetch(location.href);
    if (!answer.ok) break;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const opened of document.querySelectorAll("details[open][id]")) {
      next.getElementById(opened.id)?.setAttribute("open", "");
    }
    const top = scrollY;
    document.body.replaceWith(next.body);
    document.title = next.title;
    scrollTo({ top, behavior: "instant" });
  }
  busy = false;
}

const source = new EventSource(changes);
source.onmessage = refresh;

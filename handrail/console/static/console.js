// A region with `data-events` is loaded again when the server says that something happened in it.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const region of document.querySelectorAll("[data-events]")) {
    const events = new EventSource(region.dataset.events);
    let due = 0;
    events.addEventListener("changed", () => {
      clearTimeout(due);
      due = setTimeout(() => region.dispatchEvent(new Event("changed")), 150);
    });
    events.addEventListener("ended", () => events.close());
  }
});

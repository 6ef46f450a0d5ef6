/* Loads a script that the page does without at first, once all that is seen is there: on a slow line its bytes would delay that. */
"use strict";

const { late } = document.currentScript.dataset;
addEventListener("load", () => {
  document.head.append(Object.assign(document.createElement("script"), { src: late }));
});

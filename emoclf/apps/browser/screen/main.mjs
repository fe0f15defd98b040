/** The page: started here, in the reader's language, with what it carries. */
import { TeachPanel } from "./teach_panel.mjs";
import { Viewer } from "./viewing.mjs";
import { Words } from "./texts.mjs";
import { WorkerClient } from "./worker_client.mjs";
import { byId, makeElement, setText } from "./elements.mjs";
import { fillSamples, listenForFiles } from "./files_in.mjs";
import { fillSwitch, startTabs } from "./choosing.mjs";
import { readJson } from "./embedded.mjs";
import { sayNetworks } from "./wording.mjs";

/** The whole page. */
class Page {
  constructor() {
    this.info = readJson("info", {});
    this.words = new Words(readJson("texts", { en: {} }), navigator.languages);
    this.words.neitherAbove = this.info.face?.neitherAbove ?? 1;
    this.worker = new WorkerClient();
    const fail = (problems) => this.showProblems(problems);
    this.viewer = new Viewer(this.words, this.worker, { changed: () => this.teach.draw(), fail });
    this.teach = new TeachPanel(this.words, this.worker, {
      isLive: () => this.viewer.isLive,
      taught: () => this.use(true),
      fail,
    });
    this.isOwn = false;
  }

  /** Put the words in, listen, and load the networks. */
  async start() {
    this.listen();
    this.drawWords();
    this.viewer.showMode("none");
    try {
      const { featureKinds } = await this.worker.start(this.info);
      const canTeach = this.info.canTeach && featureKinds.length > 0;
      byId("tab-teach").hidden = !canTeach;
      if (canTeach) await this.teach.start(featureKinds);
    } catch (error) {
      this.breakDown(error);
    }
  }

  /** Without its worker the page can say only why. */
  breakDown(error) {
    this.viewer.mode = byId("page").dataset.mode = "broken";
    for (const each of document.querySelectorAll("main button:not([role=tab])"))
      each.disabled = true;
    this.viewer.panel.clear(this.words.say("broken"));
    this.showProblems([error]);
    byId("problem-close").hidden = true;
  }

  listen() {
    const { viewer } = this;
    const on = (id, act) => byId(id).addEventListener("click", act);
    for (const id of ["camera", "welcome-camera"]) on(id, () => viewer.switchCamera());
    on("flip", () => viewer.flip());
    on("pause", () => viewer.switchPause());
    on("save-picture", () => viewer.savePicture());
    on("problem-close", () => this.showProblems([]));
    byId("language").addEventListener("change", ({ target }) => {
      this.words.choose(target.value);
      this.drawWords();
    });
    startTabs(document.querySelector("[role=tablist]"), (id) => viewer.openTab(id));
    listenForFiles((files) => this.takeFiles(files));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && viewer.mode === "camera") viewer.leave(null, "camera_hidden");
    });
  }

  takeFiles(files) {
    if (byId("page").dataset.mode !== "broken") this.viewer.showFiles(files);
  }

  /** Write everything in the chosen language. */
  drawWords() {
    const { words } = this;
    words.apply(document);
    const options = words.languages.map(([code, name]) => {
      const option = makeElement("option", "", name);
      Object.assign(option, { value: code, lang: code, selected: code === words.language });
      return option;
    });
    byId("language").replaceChildren(...options);
    setText(byId("networks"), sayNetworks(words, this.info));
    fillSamples(words, (files) => this.takeFiles(files));
    this.drawOwn();
    this.teach.draw();
    this.viewer.drawWords();
  }

  /** Say what went wrong, one line each; an empty list takes the message away. */
  showProblems(problems) {
    const lines = problems.map((each) => makeElement("span", "line", this.words.explain(each)));
    byId("problem-words").replaceChildren(...lines);
    byId("problem").hidden = !lines.length;
  }

  // --- who answers

  async use(own) {
    this.isOwn = own;
    this.drawOwn();
    try {
      await this.worker.ask("use", { own });
      await this.viewer.answerAgain();
    } catch (error) {
      this.showProblems([error]);
    }
  }

  drawOwn() {
    const { words } = this;
    const choices = [
      ["own", words.say("own")],
      ["built-in", words.say("built_in")],
    ];
    for (const id of ["who-answers", "who-answers-teach"]) {
      byId(id).hidden = !this.teach.hasHead;
      const chosen = this.isOwn ? "own" : "built-in";
      fillSwitch(byId(id), choices, chosen, (value) => this.use(value === "own"));
    }
  }
}

new Page().start();

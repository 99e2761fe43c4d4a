"""The Compare tab: the same source and voice through several backends, side by side."""

from __future__ import annotations

import gradio as gr

from musetalk.webui.form.backend_picker import LINK_TO_TAB
from musetalk.webui.html.problems import ProblemSlots, problem_slot, wire_telling
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.site import AT_ONCE, UNQUEUED, Site, in_turn
from musetalk.webui.tabs.compare_handlers import CompareHandlers, choices, first_of, named
from musetalk.webui.tabs.compare_stage import CompareStage, build_compare_stage, build_work
from musetalk.webui.tabs.dub_handlers import DubHandlers
from musetalk.webui.tabs.estimates import forget_question, what_matters
from musetalk.webui.tabs.job_inputs import JobInputs
from musetalk.webui.tabs.job_views import Place
from musetalk.webui.tabs.job_watcher import wire_watching
from musetalk.webui.tabs.media_inputs import build_media

_SETTINGS = (
    "All settings are the Dub tab's, those of its folds included; only the backend changes. Faces are found once, and "
    "the backends render one after the other."
)


# What the Dub tab has is taken over where this one has nothing, or what it took over before.
_TAKE_OVER = """(...given) => {
  const taken = (window.mtTaken ??= {});
  return ["source", "voice"].map((kind, place) => {
    const [theirs, own] = [given[place], given[place + 2]];
    if (!theirs?.path || (own?.path && own.path !== taken[kind])) return own;
    taken[kind] = theirs.path;
    return theirs;
  });
}"""


def build_compare(
    site: Site, visitor: gr.BrowserState, header: gr.HTML, tab: gr.Tab, dub: DubHandlers, looks: MediaLooks
) -> Place:
    """Build the tab where it is called, which goes by the settings of `dub`; what other parts need of it comes back."""
    names, lacking = choices(site)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            media = build_media(site, looks)
        with gr.Column(scale=3, min_width=320, elem_classes="stage"):
            backends = gr.CheckboxGroup(
                named(names),
                value=first_of(names, site.engine.registry),
                label="Backends",
                info="Two or more",
                elem_classes="compared",
            )
            backend_problem = problem_slot(".compared")
            lacks = gr.HTML(lacking, js_on_load=LINK_TO_TAB)
            gr.Markdown(_SETTINGS, elem_classes="caps")
            work = build_work(ready=len(names) > 1)
            problem = problem_slot(".compared")
    stage = build_compare_stage(header, work)
    handlers = CompareHandlers(site, stage, backends, lacks, dub.estimates)
    # Not checked against what could be chosen before: that is what it is about.
    tab.select(handlers.refresh, backends, handlers.choice, preprocess=False, **UNQUEUED)
    own = [media.source, media.voice]
    tab.select(None, [dub.source, dub.voice, *own], own, js=_TAKE_OVER, api_visibility="private")
    slots = ProblemSlots(media.source_problem, media.voice_problem, backend_problem, problem)
    asked = [*own, visitor, backends, dub.source, *dub.form.widgets]
    begun = [(stage.compare_button.click, handlers.compare), (stage.question.submit, handlers.compare_anyway)]
    wire_telling(begun, asked, handlers.watched, slots, lambda: site.reader)
    matters = [tab.select, media.source.change, media.voice.change, backends.change, *what_matters(dub.form)]
    in_turn(matters, handlers.estimate, [*own, backends, *dub.form.widgets], stage.estimate)
    forget_question(matters, stage.question)
    _wire(handlers, stage, visitor)
    problems = (media.source_problem, media.voice_problem)
    return Place(handlers, JobInputs(site, media.source, media.voice, dub.form, problems))


def _wire(handlers: CompareHandlers, stage: CompareStage, visitor: gr.BrowserState) -> None:
    stage.stop_button.click(handlers.stop, [stage.job, visitor], handlers.watched, **UNQUEUED)
    stage.status.submit(handlers.act, [stage.job, visitor], handlers.opened, **AT_ONCE)
    wire_watching(handlers, stage, visitor)

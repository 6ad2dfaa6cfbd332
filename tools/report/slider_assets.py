"""Style and script of the slider; see `slider` for the data they work on."""

from __future__ import annotations

STYLE = """
.slider{--accent:#c8102e}
.slider .pick{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5em,1fr));gap:.6em .9em;margin:0 0 .8em}
.slider label{display:block;font-size:.8rem;color:#63636b}
.slider label[hidden]{display:none}
.slider select{display:block;width:100%;margin-top:.15em;padding:.45em .5em;font:inherit;font-size:1rem;color:#26262b;
background:#fff;border:1px solid #c9c9cf;border-radius:6px}
.stage{position:relative;margin:0 auto;overflow:hidden;border-radius:8px;background:#e9e9ec;cursor:crosshair;
touch-action:pan-y;user-select:none;-webkit-user-select:none}
.stage img{position:absolute;inset:0;width:100%;height:100%;display:block;pointer-events:none}
.stage .line{position:absolute;top:0;bottom:0;width:44px;margin-left:-22px;cursor:ew-resize;touch-action:none;
outline:none}
.stage .line:before{content:"";position:absolute;left:21px;top:0;bottom:0;width:2px;background:#fff;
box-shadow:0 0 4px rgba(0,0,0,.55)}
.stage .line:after{content:"\\2194";position:absolute;left:4px;top:50%;width:36px;height:36px;margin-top:-18px;
border-radius:50%;background:#fff;color:#26262b;font:22px/34px system-ui,sans-serif;text-align:center;
box-shadow:0 1px 5px rgba(0,0,0,.45)}
.stage .line:focus-visible:after{box-shadow:0 0 0 3px var(--accent)}
.stage .box{position:absolute;border:1.5px solid #fff;outline:1.5px solid rgba(0,0,0,.55);pointer-events:none}
.stage .tag{position:absolute;top:8px;max-width:44%;padding:.1em .55em;border-radius:4px;background:rgba(20,20,24,.72);
color:#fff;font-size:.82rem;pointer-events:none;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.stage .tag.l{left:8px}.stage .tag.r{right:8px}
.slider .hint{margin:.5em 0 .9em;font-size:.85rem;color:#63636b}
.details{display:grid;grid-template-columns:repeat(3,1fr);gap:.9em}
.details figure{margin:0}
.details canvas{display:block;width:100%;border-radius:6px;image-rendering:pixelated;background:#e9e9ec}
.details figcaption{margin-top:.35em;font-size:.85rem;line-height:1.4;color:#63636b;overflow-wrap:anywhere}
.details figcaption b{display:block;color:#26262b}
@media(max-width:40em){.details{grid-template-columns:1fr 1fr;gap:.6em}
.details .first{order:1;grid-column:1/-1;display:grid;grid-template-columns:1fr 1fr;gap:.6em}
.slider .pick{grid-template-columns:1fr 1fr}}
"""

SCRIPT = """
(function(){
"use strict";
const root=document.querySelector(".slider");
const scenes=JSON.parse(document.getElementById("scenes").textContent);
const $=s=>root.querySelector(s);
const stage=$(".stage"),line=$(".line"),box=$(".box"),under=$(".under"),over=$(".over");
const state={picture:0,rate:0,left:0,right:1,at:50,x:0,y:0};
const names=[...new Set(scenes.map(s=>s.title))];
const of=title=>scenes.filter(s=>s.title===title);
const scene=()=>of(names[state.picture])[state.rate];
const shot=name=>scene().shots.find(s=>s.name===name)||scene().shots[0];
const loaded={};
function image(src){
  if(!loaded[src]){const i=new Image();i.src=src;loaded[src]=i.decode().then(()=>i);}
  return loaded[src];
}
function fill(select,labels,chosen){
  select.replaceChildren(...labels.map((t,i)=>{const o=document.createElement("option");o.value=i;o.textContent=t;
    return o;}));
  select.value=chosen;select.closest("label").hidden=labels.length<2;
}
function crop(){
  const s=scene(),want=window.innerWidth<640?72:112;
  return [Math.min(want,s.width),Math.min(Math.round(want*.8),s.height)];
}
function place(){
  const s=scene(),[w,h]=crop();
  state.x=Math.max(0,Math.min(s.width-w,state.x));state.y=Math.max(0,Math.min(s.height-h,state.y));
  Object.assign(box.style,{left:100*state.x/s.width+"%",top:100*state.y/s.height+"%",width:100*w/s.width+"%",
    height:100*h/s.height+"%"});
  const shown=[s.shots[0].name,state.left,state.right];
  root.querySelectorAll(".details figure").forEach((figure,i)=>{
    const canvas=figure.querySelector("canvas"),one=shot(shown[i]),x=state.x,y=state.y;
    figure.querySelector("b").textContent=one.name;
    figure.querySelector("span").textContent=one.figures;
    image(one.src).then(picture=>{
      if(x!==state.x||y!==state.y)return;
      canvas.width=w;canvas.height=h;
      canvas.getContext("2d").drawImage(picture,x,y,w,h,0,0,w,h);
    });
  });
}
function split(at){
  state.at=Math.max(0,Math.min(100,at));
  over.style.clipPath="inset(0 0 0 "+state.at+"%)";
  line.style.left=state.at+"%";
  line.setAttribute("aria-valuenow",Math.round(state.at));
}
function show(){
  const s=scene();
  stage.style.aspectRatio=s.width+"/"+s.height;
  stage.style.width="min(100%,"+s.width*1.25+"px,"+82*s.width/s.height+"vh)";
  const left=shot(state.left),right=shot(state.right);
  under.src=left.src;under.alt=left.name;over.src=right.src;over.alt=right.name;
  $(".tag.l").textContent=left.name;$(".tag.r").textContent=right.name;
  place();split(state.at);
}
function choose(picture,rate){
  state.picture=picture;
  const these=of(names[picture]);
  state.rate=Math.min(rate,these.length-1);
  const s=scene(),labels=s.shots.map(x=>x.name);
  const base=name=>name.split("@")[0];
  if(!labels.includes(state.left))state.left=labels.length>2?labels[1]:labels[0];
  if(!labels.includes(state.right))
    state.right=labels.slice(1).find(n=>base(n)!==base(state.left))||labels[labels.length-1];
  fill($("#picture"),names,picture);
  fill($("#rate"),these.map(x=>x.rate),state.rate);
  fill($("#left"),labels,labels.indexOf(state.left));
  fill($("#right"),labels,labels.indexOf(state.right));
  const [w,h]=crop();
  state.x=s.focus[0]+Math.round((112-w)/2);state.y=s.focus[1]+Math.round((90-h)/2);
  show();
}
function percent(event){const r=stage.getBoundingClientRect();return 100*(event.clientX-r.left)/r.width;}
function aim(event){
  const r=stage.getBoundingClientRect(),s=scene(),[w,h]=crop();
  state.x=Math.round((event.clientX-r.left)/r.width*s.width-w/2);
  state.y=Math.round((event.clientY-r.top)/r.height*s.height-h/2);
  place();
}
line.addEventListener("pointerdown",e=>{line.setPointerCapture(e.pointerId);e.preventDefault();e.stopPropagation();
  line.focus({focusVisible:false,preventScroll:true});});
line.addEventListener("pointermove",e=>{if(line.hasPointerCapture(e.pointerId))split(percent(e));});
line.addEventListener("keydown",e=>{
  const step={ArrowLeft:-2,ArrowRight:2,PageDown:-10,PageUp:10,Home:-100,End:100}[e.key];
  if(step){split(state.at+step);e.preventDefault();}
});
stage.addEventListener("click",e=>{if(!line.contains(e.target))aim(e);});
$("#picture").addEventListener("change",e=>choose(+e.target.value,state.rate));
$("#rate").addEventListener("change",e=>{const{x,y}=state;choose(state.picture,+e.target.value);state.x=x;state.y=y;
  place();});
for(const side of["left","right"])
  $("#"+side).addEventListener("change",e=>{state[side]=scene().shots[+e.target.value].name;show();});
window.addEventListener("resize",place);
state.left=state.right="";
choose(0,0);
})();
"""

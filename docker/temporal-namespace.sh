#!/bin/sh
# The namespace, and the search attributes that the sagas set. Every step may be repeated.
set -eu

temporal operator cluster health
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 7d

known=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE")
for attribute in \
  SagaType=Keyword SagaStatus=Keyword SagaStep=Keyword Merchant=Keyword FailureCode=Keyword \
  ParkedSince=Datetime; do
  case $known in
    *"${attribute%%=*} "*) ;;
    *) temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
         --name "${attribute%%=*}" --type "${attribute##*=}" ;;
  esac
done

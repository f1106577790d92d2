from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path


def who(request):
    return JsonResponse({'url': request.build_absolute_uri(), 'address': request.META['REMOTE_ADDR']})


def old(request):
    return redirect(request.build_absolute_uri('/new'))


def form(request):
    return HttpResponse('accepted' if request.method == 'POST' else get_token(request))


urlpatterns = [path('who', who), path('old', old), path('form', form)]
